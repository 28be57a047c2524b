//! Frame to TCP segment: link layers, VLAN, tunnels, IP fragments.

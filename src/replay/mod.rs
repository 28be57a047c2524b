//! Messages to v2: the schedule, connection order, the transports.

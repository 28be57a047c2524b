//! Live capture through the generated kernel filter, on real interfaces: network namespaces with a
//! veth pair between them, made and removed by each test. Needs root; says so where it is not.

mod faults;
mod lab;
mod rights;
mod tagged;
mod traffic;

//! Generators, oracles and fuzz bodies that several test programs share.
//!
//! # Map
//! [`Random`] is the one source of chance, [`Sample`] a generated module with its job,
//! [`differential`] compares the backends on samples, [`lowered`] compares lowered programs with
//! them, [`traced`] puts their runs into the tables of the circuit, [`fuel`] recounts the fuel of a
//! run without the rewriting pass, [`fuzz`] holds the bodies of the fuzz targets and [`mutate`]
//! their inputs.
//! [`StandardModule`] runs a committed module on both backends, and [`ledger`] compares `transfer`
//! with a model; [`receipts`] makes sample receipts and forges them, [`capsules`] sample capsules.
//!
//! # Invariants
//! - Everything follows from a seed, and what fails names it.
//! - Nothing here is shipped: every crate takes this one as a dev-dependency, or not at all.

pub mod capsules;
pub mod differential;
pub mod fuel;
pub mod fuzz;
mod host;
pub mod ledger;
mod library;
pub mod lowered;
pub mod mutate;
mod random;
pub mod receipts;
mod sample;
mod standard;
pub mod traced;
mod wrap;

pub use host::{GENERATED, full_host};
pub use random::Random;
pub use sample::{FUEL_GRANTED, Sample};
pub use standard::StandardModule;

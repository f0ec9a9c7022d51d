//! The modules that were built with this SDK.

mod artifacts;

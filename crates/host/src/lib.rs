#![doc = include_str!("../README.md")]

mod directory;
mod error;
#[cfg(unix)]
mod folder;
#[cfg(not(unix))]
#[path = "folder_absent.rs"]
mod folder;
mod mounts;
mod network;
mod storage;

pub use directory::DirectoryHost;
pub use error::SetupError;

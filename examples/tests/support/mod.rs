//! What tests share: a folder of their own, a tool as a process, a server, a client that says what it is told.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test is a program of its own and uses the part that it needs"
)]

pub mod provider;
pub mod server;
pub mod tool;

use std::path::{Path, PathBuf};

/// A folder that goes away with the test.
pub struct Folder(PathBuf);

impl Folder {
    /// Empty; its name holds the test's.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("yubin-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it, as an argument of a tool.
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file, and gives its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.0.join(name), content).unwrap();
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

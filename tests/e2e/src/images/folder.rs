//! A folder that becomes an image.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::{PROGRAM, TEXT};
use crate::cluster::repository;

pub(super) struct Folder(TempDir);

/// What a program is linked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Libc {
    Musl,
    Glibc,
}

impl Folder {
    pub(super) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        // The image's root must be everybody's.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.place(name)?;
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        mode(&path, TEXT)
    }

    pub(super) fn copy(&self, name: &str, from: &Path, permissions: u32) -> anyhow::Result<()> {
        let path = self.place(name)?;
        fs::copy(from, &path).with_context(|| from.display().to_string())?;
        mode(&path, permissions)
    }

    pub(super) fn link(&self, name: &str, to: &str) -> anyhow::Result<()> {
        Ok(symlink(to, self.place(name)?)?)
    }

    pub(super) fn directory(&self, name: &str, permissions: u32) -> anyhow::Result<()> {
        let path = self.place(name)?;
        fs::create_dir(&path)?;
        mode(&path, permissions)
    }

    /// `images/dynamic.c`, linked with a libc, and what it is loaded with.
    pub(super) fn compile(&self, name: &str, libc: Libc) -> anyhow::Result<()> {
        let program = self.place(name)?;
        let mut command = Command::new(libc.compiler());
        command.args(["-O1", &format!("-DLIBC=\"{libc:?}\""), "-o"]).arg(&program);
        command.arg(repository().join("tests/e2e/images/dynamic.c"));
        let output = command.output().with_context(|| format!("{} does not start", libc.compiler()))?;
        ensure!(output.status.success(), "{}: {}", libc.compiler(), String::from_utf8_lossy(&output.stderr));
        for file in libc.files(&program)? {
            let place = file.strip_prefix("/").unwrap_or(&file).to_string_lossy().into_owned();
            self.copy(&place, &file, PROGRAM)?;
        }
        Ok(())
    }

    fn place(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().context("a file without a folder")?)?;
        Ok(path)
    }
}

impl Libc {
    fn compiler(self) -> &'static str {
        match self {
            Self::Musl => "musl-gcc",
            Self::Glibc => "cc",
        }
    }

    /// What a program is loaded with. musl is one file; for glibc its loader says.
    fn files(self, program: &Path) -> anyhow::Result<Vec<PathBuf>> {
        if self == Self::Musl {
            return Ok(vec![PathBuf::from("/lib/ld-musl-x86_64.so.1")]);
        }
        let output = Command::new("ldd").arg(program).output().context("ldd does not start")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let files: Vec<_> = said.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect();
        ensure!(!files.is_empty(), "ldd names no file that {} is loaded with", program.display());
        Ok(files)
    }
}

fn mode(path: &Path, permissions: u32) -> anyhow::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(permissions)).with_context(|| path.display().to_string())
}

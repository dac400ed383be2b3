//! Copies the launcher into the volume that the pod's containers share.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The copy's name.
pub const NAME: &str = "keyward-launcher";

/// The file that says a directory is the launcher's own, so that cleaning up can never empty another.
pub const MARKER: &str = ".keyward";

/// A file named here was not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot install {}: {source}; the directory must exist, be writable and have room", .path.display())]
pub struct InstallError {
    path: PathBuf,
    source: io::Error,
}

/// Puts the launcher into `directory`, and its marker where nothing else lies: a directory that holds other people's files
/// is not the launcher's to empty. Each file appears whole or not at all.
pub fn install(directory: &Path) -> Result<(), InstallError> {
    let mut program = File::open("/proc/self/exe").map_err(|source| InstallError { path: directory.into(), source })?;
    let ours = holds_only_ours(directory).map_err(|source| InstallError { path: directory.into(), source })?;
    put(directory, NAME, 0o555, &mut program)?;
    if !ours {
        return Ok(());
    }
    put(directory, MARKER, 0o444, &mut concat!("keyward-launcher ", env!("CARGO_PKG_VERSION"), "\n").as_bytes())
}

fn holds_only_ours(directory: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if name != NAME && name != MARKER && !name.to_string_lossy().ends_with(".partial") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn put(directory: &Path, name: &str, mode: u32, content: &mut impl io::Read) -> Result<(), InstallError> {
    let path = directory.join(name);
    let partial = directory.join(format!(".{name}.partial"));
    let written = write(&partial, mode, content).and_then(|()| fs::rename(&partial, &path));
    written.map_err(|source| {
        let _best_effort = fs::remove_file(&partial);
        InstallError { path, source }
    })
}

fn write(partial: &Path, mode: u32, content: &mut impl io::Read) -> io::Result<()> {
    // What a container that was killed half-way left behind.
    match fs::remove_file(partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(partial)?;
    io::copy(content, &mut file)?;
    // Whatever the umask left of the mode.
    file.set_permissions(Permissions::from_mode(mode))
}

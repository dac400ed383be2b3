//! Copies the launcher into the volume that the pod's containers share: into the volume itself, or once for each container
//! into a folder of that container's own, so that one that cleans up takes the launcher from no other.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// The copy's name.
pub const NAME: &str = "keyward-launcher";

/// The file that says a directory is the launcher's own, so that cleaning up can never empty another.
pub const MARKER: &str = ".keyward";

/// Anybody may execute a copy, nobody may change it.
const PROGRAM_MODE: u32 = 0o555;

/// The application runs as whatever user it likes, and deletes what is in its folder. Without the sticky bit it may.
const FOLDER_MODE: u32 = 0o777;

/// A file or folder named here was not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot install {}: {source}; the directory must exist, be writable and have room", .path.display())]
pub struct InstallError {
    path: PathBuf,
    source: io::Error,
}

/// Puts the launcher into `directory`, and its marker where nothing else lies: a directory that holds other people's files
/// is not the launcher's to empty. Each file appears whole or not at all.
pub fn install(directory: &Path) -> Result<(), InstallError> {
    let ours = holds_only_ours(directory).map_err(at(directory))?;
    put(directory, NAME, write_program)?;
    if ours { mark(directory) } else { Ok(()) }
}

/// Puts the launcher into a folder of `directory` for each of `containers`. They share one file's memory: the program is
/// written once and linked. May run again at any time, also while applications run, or have emptied their folder.
pub fn install_for(directory: &Path, containers: &[String]) -> Result<(), InstallError> {
    let base = partial(directory, NAME);
    let mut outcome = write_program(&base).map_err(at(&base));
    for container in containers {
        outcome = outcome.and_then(|()| furnish(&base, &directory.join(container)));
    }
    let removed = absent(&base).map_err(at(&base));
    outcome.and(removed)
}

/// One container's folder.
fn furnish(base: &Path, folder: &Path) -> Result<(), InstallError> {
    let ours = open_to_all(folder).map_err(at(folder))?;
    put(folder, NAME, |partial| link(base, partial))?;
    if ours { mark(folder) } else { Ok(()) }
}

/// Makes `folder` and lets everybody write to it, unless it is there and holds what is not ours. Whether it is ours.
fn open_to_all(folder: &Path) -> io::Result<bool> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // No link leads out of the volume.
    let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::NOFOLLOW;
    let handle = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(folder)?;
    if !holds_only_ours(folder)? {
        return Ok(false);
    }
    // Whatever the umask left of the mode. Only who made the folder may do this, and need not do it twice.
    if handle.metadata()?.permissions().mode() & 0o1777 != FOLDER_MODE {
        handle.set_permissions(Permissions::from_mode(FOLDER_MODE))?;
    }
    Ok(true)
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

fn mark(directory: &Path) -> Result<(), InstallError> {
    let text = concat!("keyward-launcher ", env!("CARGO_PKG_VERSION"), "\n");
    put(directory, MARKER, |partial| write(partial, 0o444, &mut text.as_bytes()))
}

/// Lets `make` make a file beside its place and moves it there: what is executed at this moment cannot be written to.
fn put(directory: &Path, name: &str, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), InstallError> {
    let path = directory.join(name);
    let partial = partial(directory, name);
    make(&partial).and_then(|()| fs::rename(&partial, &path)).map_err(|source| {
        let _best_effort = fs::remove_file(&partial);
        InstallError { path, source }
    })
}

fn link(base: &Path, partial: &Path) -> io::Result<()> {
    absent(partial)?;
    match fs::hard_link(base, partial) {
        Err(error) if cannot_link(&error) => write_program(partial),
        other => other,
    }
}

/// Whether this file system has no hard links, or no more of them.
fn cannot_link(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::PERM | Errno::MLINK | Errno::XDEV | Errno::NOTSUP | Errno::NOSYS))
}

fn write_program(partial: &Path) -> io::Result<()> {
    write(partial, PROGRAM_MODE, &mut File::open("/proc/self/exe")?)
}

fn write(partial: &Path, mode: u32, content: &mut impl io::Read) -> io::Result<()> {
    absent(partial)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(partial)?;
    io::copy(content, &mut file)?;
    // Whatever the umask left of the mode.
    file.set_permissions(Permissions::from_mode(mode))
}

fn partial(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!(".{name}.partial"))
}

/// Removes what a container that was killed half-way may have left behind.
fn absent(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> InstallError {
    move |source| InstallError { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_takes_the_place_of_a_link_only_where_there_are_no_links() {
        for (errno, copied) in [
            (Errno::PERM, true),
            (Errno::MLINK, true),
            (Errno::XDEV, true),
            (Errno::NOTSUP, true),
            (Errno::NOSPC, false),
            (Errno::ACCESS, false),
            (Errno::EXIST, false),
        ] {
            assert_eq!(cannot_link(&errno.into()), copied, "{errno:?}");
        }
    }

    #[test]
    fn a_folder_of_others_keeps_its_mode_and_is_not_ours() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("app");
        assert!(open_to_all(&folder).unwrap());
        fs::set_permissions(&folder, Permissions::from_mode(0o1750)).unwrap();
        assert!(open_to_all(&folder).unwrap());
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o7777, 0o777);
        fs::set_permissions(&folder, Permissions::from_mode(0o750)).unwrap();
        fs::write(folder.join("theirs"), "").unwrap();
        assert!(!open_to_all(&folder).unwrap());
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o7777, 0o750);
    }

    #[test]
    fn no_link_leads_out_of_the_volume() {
        let home = tempfile::tempdir().unwrap();
        let (volume, outside) = (home.path().join("volume"), home.path().join("outside"));
        fs::create_dir(&volume).unwrap();
        fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, volume.join("app")).unwrap();
        let error = install_for(&volume, &["app".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("volume/app"), "{error}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        // The base copy does not stay behind either.
        assert_eq!(fs::read_dir(&volume).unwrap().count(), 1);
    }
}

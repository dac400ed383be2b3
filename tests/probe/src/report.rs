//! How this process was started.

use std::{
    ffi::OsStr,
    fs, io,
    io::IsTerminal as _,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use nix::unistd::{getgid, getgroups, getuid};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// Where the launcher lies.
const LAUNCHER: &str = "/azure-keyvault";

/// Everything that a test may want to know of it.
pub(crate) fn of_this_process() -> io::Result<Value> {
    let groups = getgroups()?;
    Ok(json!({
        "at": SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?.as_micros(),
        "argv": std::env::args_os().map(|word| text(&word)).collect::<Vec<_>>(),
        "directory": text(std::env::current_dir()?.as_os_str()),
        "env": std::env::vars_os().map(|(name, value)| (text(&name), hash(&value).into())).collect::<Map<_, _>>(),
        "pid": std::process::id(),
        "uid": getuid().as_raw(),
        "gid": getgid().as_raw(),
        "groups": groups.iter().map(|group| group.as_raw()).collect::<Vec<_>>(),
        "terminal": io::stdin().is_terminal() && io::stdout().is_terminal(),
        "launcher": names(Path::new(LAUNCHER))?,
    }))
}

fn text(word: &OsStr) -> String {
    word.to_string_lossy().into_owned()
}

fn hash(value: &OsStr) -> String {
    Sha256::digest(value.as_bytes()).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// What a directory holds, in order; nothing where it does not exist.
fn names(directory: &Path) -> io::Result<Option<Vec<String>>> {
    let mut names = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?.map(|entry| Ok(text(&entry?.file_name()))).collect::<io::Result<Vec<_>>>()?,
    };
    names.sort();
    Ok(Some(names))
}

//! Whose a connection is, by what the kernel shows of its sockets.

use std::{fs, net::SocketAddr};

/// The number of the socket of this machine whose own end is `address`.
pub(super) fn socket(address: SocketAddr) -> Option<u64> {
    of_table(&fs::read_to_string("/proc/net/tcp").ok()?, address)
}

/// Whether `process` holds it.
pub(super) fn holds(process: u32, socket: u64) -> bool {
    let name = format!("socket:[{socket}]");
    let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|link| link.as_os_str() == name.as_str())
}

/// From a table as `/proc/net/tcp` is: the second column is the own end, the tenth the number.
fn of_table(table: &str, address: SocketAddr) -> Option<u64> {
    let SocketAddr::V4(address) = address else { return None };
    let own = format!("{:08X}:{:04X}", u32::from_le_bytes(address.ip().octets()), address.port());
    table.lines().find_map(|line| {
        let mut columns = line.split_whitespace();
        (columns.nth(1)? == own).then(|| columns.nth(7)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_its_own_end() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     \x20  0: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 111 1\n\
                     \x20  1: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 222 1\n";
        for (port, expected) in [(50_000, Some(222)), (8_080, Some(111)), (9, None)] {
            assert_eq!(of_table(table, SocketAddr::from(([127, 0, 0, 1], port))), expected, "{port}");
        }
    }
}

//! What waits in the TCP connections of a process, as the kernel lists them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes that came and were not read yet, and that were sent and not taken yet.
pub(crate) type Queues = (u64, u64);

/// Of the established connections of a process, by peer; none where it is gone or is not ours to look at.
pub(crate) fn queues(pid: i32) -> HashMap<SocketAddr, Queues> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let inode = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
    };
    let own: HashSet<u64> = entries.filter_map(inode).collect();
    let tables = ["tcp", "tcp6"].map(|name| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    lines.filter_map(parse).filter(|(inode, ..)| own.contains(inode)).map(|(_, peer, queues)| (peer, queues)).collect()
}

/// A line of /proc/net/tcp: the socket's number, its peer and what waits; `None` unless it is established.
fn parse(line: &str) -> Option<(u64, SocketAddr, Queues)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (peer, state, queues, inode) = (fields.get(2)?, fields.get(3)?, fields.get(4)?, fields.get(9)?);
    let (sent, came) = queues.split_once(':')?;
    let bytes = |text| u64::from_str_radix(text, 16).ok();
    let queues = (bytes(came)?, bytes(sent)?);
    (*state == "01").then_some((inode.parse().ok()?, address(peer)?, queues))
}

/// `0100007F:1F90`: each four bytes are in the machine's order, the port is a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words: Vec<u32> =
        (0..ip.len() / 8).filter_map(|word| u32::from_str_radix(ip.get(word * 8..word * 8 + 8)?, 16).ok()).collect();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let ip = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn our_own_connections_are_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        let found = queues(pid);
        assert_eq!(found.get(&listener.local_addr().unwrap()), Some(&(0, 0)), "{found:?} {client:?}");
        assert!(queues(i32::MAX).is_empty());
    }

    #[test]
    fn lines_of_the_kernel() {
        let line = |state| format!(" 0: 0100007F:1F90 0200007F:0050 {state} 00000001:00000010 00:0 0 0 0 77 1");
        assert_eq!(parse(&line("01")), Some((77, "127.0.0.2:80".parse().unwrap(), (16, 1))));
        assert_eq!(parse(&line("0A")), None);
        assert_eq!(address("0000000000000000FFFF00000100007F:0050").unwrap().to_string(), "127.0.0.1:80");
        assert_eq!((address("xx:1"), address("")), (None, None));
    }
}

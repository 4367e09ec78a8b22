//! One message with descriptors over a `SOCK_SEQPACKET` Unix socket: how segments, bells and listeners change hands.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::{CONTROL_MAX, DESCRIPTORS_MAX};

/// A connected pair of sockets that speak in these messages.
///
/// # Errors
/// What the kernel says.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Sends one message with its descriptors, without waiting and without a signal when the peer is gone.
///
/// # Errors
/// `WouldBlock` when the peer does not read; anything else means that it is gone. A message over [`CONTROL_MAX`] is
/// refused.
pub fn send<T: Serialize>(socket: impl AsFd, message: &T, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    if text.len() > CONTROL_MAX || descriptors.len() > DESCRIPTORS_MAX {
        let error = format!("a message of {} bytes with {} descriptors is too large", text.len(), descriptors.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        let fits = ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        debug_assert!(fits, "the space is for the most descriptors");
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::sendmsg(socket, &[IoSlice::new(&text)], &mut ancillary, flags)?;
    Ok(())
}

/// Receives one message, waiting only if the socket does; `None` when the peer has closed. Descriptors beyond
/// `descriptors_max` are closed by the kernel or by us, and the message is refused.
///
/// # Errors
/// `WouldBlock` when there is none yet; `InvalidData` when it is not such a message.
pub fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
    descriptors_max: usize,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut text = vec![0; CONTROL_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    // Without room for them the kernel drops descriptors that nobody asked for.
    let room = if descriptors_max == 0 { 0 } else { space.len() };
    let mut ancillary = RecvAncillaryBuffer::new(&mut space[..room]);
    let received =
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    let cut = ReturnFlags::TRUNC | ReturnFlags::CTRUNC;
    if descriptors.len() > descriptors_max || (descriptors_max > 0 && received.flags.intersects(cut)) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message with too much in it"));
    }
    let message = serde_json::from_slice(&text[..received.bytes])
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Some((message, descriptors)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_with_its_descriptors_in_order() {
        let (ours, theirs) = pair().unwrap();
        let (a, b) = pair().unwrap();
        send(&ours, &"two", &[a.as_fd(), b.as_fd()]).unwrap();
        drop((a, b));
        let (text, descriptors) = receive::<String>(&theirs, 2).unwrap().unwrap();
        assert_eq!((text.as_str(), descriptors.len()), ("two", 2));
        send(&descriptors[0], &7_u8, &[]).unwrap();
        assert_eq!(receive::<u8>(&descriptors[1], 0).unwrap().unwrap().0, 7);
    }

    #[test]
    fn an_empty_socket_would_block_and_a_closed_one_says_so() {
        let (ours, theirs) = pair().unwrap();
        assert_eq!(receive::<u8>(&theirs, 0).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(ours);
        assert!(receive::<u8>(&theirs, 0).unwrap().is_none());
        assert!(send(&theirs, &1_u8, &[]).is_err());
    }

    #[test]
    fn descriptors_nobody_asked_for_are_dropped() {
        let (ours, theirs) = pair().unwrap();
        let (a, b) = pair().unwrap();
        send(&ours, &1_u8, &[a.as_fd()]).unwrap();
        assert!(receive::<u8>(&theirs, 0).unwrap().unwrap().1.is_empty());
        send(&ours, &1_u8, &[a.as_fd(), b.as_fd()]).unwrap();
        assert!(receive::<u8>(&theirs, 1).is_err());
    }

    #[test]
    fn what_is_too_large_is_refused_by_both_sides() {
        let (ours, theirs) = pair().unwrap();
        assert!(send(&ours, &"x".repeat(CONTROL_MAX), &[]).is_err());
        rustix::net::send(&ours, &vec![b'1'; CONTROL_MAX + 10], SendFlags::empty()).unwrap();
        assert!(receive::<u64>(&theirs, 0).is_err());
    }
}

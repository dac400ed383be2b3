//! The contract's messages, as they come off the wire before anybody has looked at who sends them.

use keyward_proto::v1;
use prost::Message;

/// Reads bytes as one message.
type Reader = fn(&[u8]);

/// What somebody can send to a server of ours, and what a server can answer to a client of ours.
const READERS: [Reader; 22] = [
    read::<v1::ResolveRequest>,
    read::<v1::ResolveResponse>,
    read::<v1::FetchRequest>,
    read::<v1::FetchResponse>,
    read::<v1::DescribeRequest>,
    read::<v1::DescribeResponse>,
    read::<v1::WatchResponse>,
    read::<v1::CheckRequest>,
    read::<v1::CheckResponse>,
    read::<v1::StatusRequest>,
    read::<v1::StatusResponse>,
    read::<v1::RefreshResponse>,
    read::<v1::ExplainRequest>,
    read::<v1::ExplainResponse>,
    read::<v1::FollowRequest>,
    read::<v1::FollowResponse>,
    read::<v1::ReadRequest>,
    read::<v1::ReadResponse>,
    read::<v1::CheckVaultsRequest>,
    read::<v1::HintRequest>,
    read::<v1::RedeemRequest>,
    read::<v1::EntrustRequest>,
];

/// A message: the first byte says which, the others are it.
///
/// # Panics
///
/// Where a message does not come out as it went in.
pub fn message(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    READERS[usize::from(*which) % READERS.len()](bytes);
}

fn read<M: Message + Default + PartialEq>(bytes: &[u8]) {
    let Ok(message) = M::decode(bytes) else { return };
    let written = message.encode_to_vec();
    assert_eq!(written.len(), message.encoded_len());
    let again = M::decode(written.as_slice());
    // Compared by their bytes too: a number may be none.
    assert!(again.as_ref() == Ok(&message) || again.is_ok_and(|again| again.encode_to_vec() == written));
}

//! How a replica is.

use keyward_proto::v1;

use super::Garbled;
use crate::peers::member::{Beat, MemberId, State};

/// As it travels.
pub fn of_beat(beat: &Beat) -> v1::Beat {
    let state = match beat.state {
        State::Warming => v1::MemberState::Warming,
        State::Serving => v1::MemberState::Serving,
        State::Leaving => v1::MemberState::Leaving,
    };
    v1::Beat {
        id: beat.id.number(),
        state: state.into(),
        serving: beat.serving.iter().map(|member| member.number()).collect(),
    }
}

/// As it was meant.
pub fn to_beat(beat: v1::Beat) -> Result<Beat, Garbled> {
    let state = match beat.state() {
        v1::MemberState::Warming => State::Warming,
        v1::MemberState::Serving => State::Serving,
        v1::MemberState::Leaving => State::Leaving,
        v1::MemberState::Unspecified => return Err(Garbled("a beat without a state")),
    };
    Ok(Beat { id: beat.id.into(), state, serving: beat.serving.into_iter().map(MemberId::from).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_arrives_as_it_was_sent() {
        for state in [State::Warming, State::Serving, State::Leaving] {
            let beat = Beat { id: 7.into(), state, serving: vec![1.into(), u64::MAX.into()] };
            assert_eq!(to_beat(of_beat(&beat)), Ok(beat));
        }
        assert!(to_beat(v1::Beat::default()).is_err());
    }
}

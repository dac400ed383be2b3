//! The gates on the way of a reference, one aligned line for each, and as JSON. Pure.

use std::io::{self, Write};

use keyward_proto::v1::{ExplainResponse, GateState};
use serde_json::{Value, json};

use super::columns;

/// Writes the lines.
pub fn write(answer: &ExplainResponse, out: &mut impl Write) -> io::Result<()> {
    let rows = answer.gates.iter().map(|gate| [gate.name.clone(), word(gate.state()).to_owned(), gate.detail.clone()]);
    columns::aligned(out, rows)
}

/// The same as JSON: the field names of the protocol in lower camel case.
pub fn json(answer: &ExplainResponse) -> Value {
    let gates =
        answer.gates.iter().map(|gate| json!({"name": gate.name, "state": word(gate.state()), "detail": gate.detail}));
    json!({"gates": gates.collect::<Vec<_>>()})
}

/// Whether nothing stands in the way.
pub fn all_open(answer: &ExplainResponse) -> bool {
    let closed = |state| !matches!(state, GateState::Open | GateState::Skipped);
    !answer.gates.is_empty() && !answer.gates.iter().any(|gate| closed(gate.state()))
}

fn word(state: GateState) -> &'static str {
    match state {
        GateState::Open => "open",
        GateState::Closed => "closed",
        GateState::Skipped => "skipped",
        GateState::Unspecified => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use keyward_proto::v1::Gate;

    use super::*;

    fn answer(states: &[GateState]) -> ExplainResponse {
        let gate = |(name, state): (&str, &GateState)| Gate {
            name: name.to_owned(),
            state: (*state).into(),
            detail: format!("about {name}"),
        };
        ExplainResponse { gates: ["token", "namespace", "secret"].into_iter().zip(states).map(gate).collect() }
    }

    #[test]
    fn each_gate_is_one_aligned_line() {
        let mut out = Vec::new();
        write(&answer(&[GateState::Skipped, GateState::Open, GateState::Closed]), &mut out).unwrap();
        let expected = "\
token      skipped  about token
namespace  open     about namespace
secret     closed   about secret
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn only_open_gates_and_those_not_asked_for_make_a_good_answer() {
        use GateState::{Closed, Open, Skipped, Unspecified};
        for (states, good) in [
            (&[Open, Open, Open][..], true),
            (&[Skipped, Open, Open], true),
            (&[Open, Closed, Skipped], false),
            (&[Open, Open, Unspecified], false),
            (&[], false),
        ] {
            assert_eq!(all_open(&answer(states)), good, "{states:?}");
        }
        assert_eq!(json(&answer(&[Open]))["gates"][0]["state"], "open");
    }
}

//! `NAME@azurekeyvault?QUERY` in a variable's value, and `$(NAME)` in the same texts.

use keyward_types::Reference;
use keyward_webhook::expand::{Piece, escape, pieces};

use crate::assert_is_shown_well;

/// A value's text.
///
/// # Panics
///
/// Where a reference is read that does not come out as it went in, or where `$(NAME)` is read in another way than the
/// kubelet's.
pub fn reference(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match Reference::parse(text) {
        Some(Ok(read)) => {
            assert_eq!(read.to_string(), text.strip_suffix('?').unwrap_or(text));
            assert_eq!(Reference::parse(&read.to_string()), Some(Ok(read.clone())));
            assert_eq!(Reference::new(read.name(), read.query()), Ok(read));
        }
        Some(Err(error)) => assert_is_shown_well(&error.to_string()),
        None => {}
    }
    for values in [no_value, short_value] {
        assert_eq!(expanded(text, values), by_the_letter(text, values), "{text:?}");
    }
    assert_eq!(expanded(&escape(text), short_value), text);
}

type Values = fn(&str) -> Option<&'static str>;

fn no_value(_: &str) -> Option<&'static str> {
    None
}

/// Of every variable with a short name.
fn short_value(name: &str) -> Option<&'static str> {
    (name.len() < 3).then_some("$(A)$$")
}

/// As the kubelet expands it.
pub(crate) fn expanded(text: &str, values: Values) -> String {
    let of = |piece| match piece {
        Piece::Text(text) => text,
        Piece::Variable { name, written } => values(name).unwrap_or(written),
    };
    pieces(text).map(of).collect()
}

/// The same, one character after the other: slow, and too simple to be wrong.
fn by_the_letter(text: &str, values: Values) -> String {
    let (letters, mut at, mut out) = (text.chars().collect::<Vec<_>>(), 0, String::new());
    while at < letters.len() {
        let close = letters[at..].iter().position(|letter| *letter == ')').map(|close| at + close);
        match (letters[at], letters.get(at + 1), close) {
            ('$', Some('$'), _) => {
                out.push('$');
                at += 2;
            }
            ('$', Some('('), Some(close)) => {
                let name: String = letters[at + 2..close].iter().collect();
                out.push_str(&values(&name).map_or_else(|| format!("$({name})"), str::to_owned));
                at = close + 1;
            }
            // What follows the `$` is not looked at as a beginning of its own.
            ('$', Some(next), _) => {
                out.extend(['$', *next]);
                at += 2;
            }
            (letter, ..) => {
                out.push(letter);
                at += 1;
            }
        }
    }
    out
}

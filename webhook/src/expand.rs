//! `$(NAME)` as the kubelet expands it in environment values, commands and arguments.
//!
//! `$$` is one `$`, so that `$$(NAME)` stands for the text `$(NAME)`; a `$(` that no `)` closes and a `$` before anything
//! else stand for themselves ([Kubernetes: dependent environment variables][1]).
//!
//! [1]: https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/

use std::borrow::Cow;

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// As it stands.
    Text(&'a str),
    /// `$(NAME)`: the variable's value, or the text itself where there is no such variable.
    Variable {
        /// `NAME`.
        name: &'a str,
        /// `$(NAME)`.
        written: &'a str,
    },
}

/// The parts of a text, in order.
pub fn pieces(text: &str) -> Pieces<'_> {
    Pieces { rest: text }
}

/// See [`pieces`].
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let Some(plain) = self.rest.find('$').filter(|at| *at + 1 < self.rest.len()) else {
            return Some(self.text(self.rest.len()));
        };
        if plain > 0 {
            return Some(self.text(plain));
        }
        let after = &self.rest[1..];
        if let Some(rest) = after.strip_prefix('$') {
            self.rest = rest;
            return Some(Piece::Text("$"));
        }
        let closed = after.strip_prefix('(').and_then(|inside| inside.split_once(')'));
        let Some((name, rest)) = closed else {
            // What follows the `$` belongs to it, whatever it is.
            let first = after.chars().next().map_or(0, char::len_utf8);
            return Some(self.text(1 + first));
        };
        let written = &self.rest[..self.rest.len() - rest.len()];
        self.rest = rest;
        Some(Piece::Variable { name, written })
    }
}

impl<'a> Pieces<'a> {
    fn text(&mut self, length: usize) -> Piece<'a> {
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        Piece::Text(text)
    }
}

/// A text that the kubelet turns back into `text`.
pub fn escape(text: &str) -> Cow<'_, str> {
    if text.contains('$') { Cow::Owned(text.replace('$', "$$")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With A=1 and B=2.
    fn expanded(text: &str) -> String {
        let value = |piece| match piece {
            Piece::Text(text) => text,
            Piece::Variable { name: "A", .. } => "1",
            Piece::Variable { name: "B", .. } => "2",
            Piece::Variable { written, .. } => written,
        };
        pieces(text).map(value).collect()
    }

    #[test]
    fn a_text_is_expanded_as_the_kubelet_expands_it() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$(A)", "1"),
            ("$(A)$(B)", "12"),
            ("x$(A)y", "x1y"),
            ("$(C)", "$(C)"),
            ("$()", "$()"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$$$$(A)", "$$(A)"),
            ("$$", "$"),
            ("$", "$"),
            ("a$", "a$"),
            ("$A", "$A"),
            ("${A}", "${A}"),
            ("$(A", "$(A"),
            ("$(A$(B)", "$(A$(B)"),
            ("$((A)", "$((A)"),
            ("$é$(A)", "$é1"),
            ("f$(A)oo$(B)$$", "f1oo2$"),
        ] {
            assert_eq!(expanded(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_escaped_comes_out_as_it_was() {
        for text in ["", "plain", "$", "$$", "$(A)", "$$(A)", "${A} $(B) $x"] {
            assert_eq!(expanded(&escape(text)), text);
        }
    }
}

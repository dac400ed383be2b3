//! Says a thing once, for whoever looks again and again at something that stays broken.

/// What was said last. A look that succeeds ends it: the same fault is worth saying when it comes back.
#[derive(Debug, Default)]
pub struct Once {
    said: Option<String>,
}

impl Once {
    /// Whether `reason` is to be said now.
    pub fn is_new(&mut self, reason: &str) -> bool {
        let new = self.said.as_deref() != Some(reason);
        if new {
            self.said = Some(reason.to_owned());
        }
        new
    }

    /// All is well.
    pub fn settled(&mut self) {
        self.said = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_new_once_until_another_or_until_all_was_well() {
        let mut once = Once::default();
        for _ in 0..2 {
            let said = ["lacks tls.key", "lacks tls.key", "lacks ca.crt", "lacks ca.crt"].map(|why| once.is_new(why));
            assert_eq!(said, [true, false, true, false]);
            once.settled();
        }
    }
}

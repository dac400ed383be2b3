//! A `Resolve` from its arrival to its audit line. Whatever becomes of it leaves one: also a caller who goes away, or
//! whose own deadline passes, whereupon the server drops the work in the middle.

use std::{net::SocketAddr, sync::Arc};

use keyward_proto::{MAX_REFERENCES, v1};
use keyward_types::Reference;
use tonic::{Code, Status};

use crate::{
    audit::{AuditLog, PodVerdict, Record},
    authn::Caller,
    grpc::errors,
    resolve::{Outcome, ResolveError},
};

/// A request without its line yet.
pub(super) struct Unanswered<'a> {
    /// Who asks, once that is known.
    pub(super) caller: Option<Arc<Caller>>,
    /// What its pod had to say, once it was asked.
    pub(super) binding: Option<PodVerdict>,
    audit: &'a AuditLog,
    peer: Option<SocketAddr>,
    references: &'a [v1::Reference],
    answered: bool,
}

impl<'a> Unanswered<'a> {
    pub(super) fn new(audit: &'a AuditLog, peer: Option<SocketAddr>, references: &'a [v1::Reference]) -> Self {
        Self { caller: None, binding: None, audit, peer, references, answered: false }
    }

    /// Writes the line of a request that is refused as a whole.
    pub(super) fn refuse<T>(self, refusal: Status) -> Result<T, Status> {
        self.answer(Some(&refusal), None, &[])?;
        Err(refusal)
    }

    /// Writes the line: the refusal of the whole, or the failure that the outcomes add up to, or neither. Fails when it
    /// could not be written; then nothing may be handed out.
    pub(super) fn answer(
        mut self,
        refusal: Option<&Status>,
        failure: Option<&Status>,
        outcomes: &[Outcome],
    ) -> Result<(), Status> {
        self.answered = true;
        let code = failure.or(refusal).map_or(Code::Ok, Status::code);
        if let Err(error) = self.write(code, refusal.map(Status::message), outcomes) {
            tracing::error!(%error, "the audit line could not be written, so nothing is handed out");
            return Err(errors::unaudited());
        }
        Ok(())
    }

    fn write(&self, code: Code, error: Option<&str>, outcomes: &[Outcome]) -> std::io::Result<()> {
        let (caller, binding) = (self.caller.as_deref(), self.binding.as_ref());
        self.audit.write(&Record { caller, binding, peer: self.peer, code, error, outcomes })
    }

    /// What was asked, as far as it can be said.
    fn abandoned(&self) -> Vec<Outcome> {
        let named = self.references.iter().take(MAX_REFERENCES);
        let mut references: Vec<_> =
            named.filter_map(|one| Reference::new(&one.name, one.query.as_deref()).ok()).collect();
        references.sort_unstable();
        references.dedup();
        let abandoned = |reference| Outcome { reference, trail: None, value: Err(ResolveError::Cancelled) };
        references.into_iter().map(abandoned).collect()
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        if let Err(error) = self.write(Code::Cancelled, None, &self.abandoned()) {
            tracing::error!(%error, "the audit line of a request given up by its caller could not be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::Mutex, time::SystemTime};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn caller() -> Caller {
        Caller {
            namespace: "shop".into(),
            service_account: "checkout".into(),
            pod_name: "checkout-1".into(),
            pod_uid: "u-1".into(),
            node: None,
            expires: SystemTime::UNIX_EPOCH,
        }
    }

    fn lines(use_it: impl FnOnce(Unanswered<'_>)) -> Vec<serde_json::Value> {
        let lines = Lines::default();
        let audit = AuditLog::new(lines.clone());
        let references = ["db", "mail", "db", "NO NAME"].map(|name| v1::Reference { name: name.into(), query: None });
        use_it(Unanswered::new(&audit, None, &references));
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_request_given_up_leaves_a_line_with_who_asked_for_what() {
        let lines = lines(|mut asked| asked.caller = Some(Arc::new(caller())));
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["code"], &lines[0]["caller"]["pod"]), (&"CANCELLED".into(), &"checkout-1".into()));
        let references: Vec<_> = lines[0]["objects"].as_array().unwrap().iter().map(|one| &one["reference"]).collect();
        assert_eq!(references, ["db@azurekeyvault", "mail@azurekeyvault"]);
    }

    #[test]
    fn an_answer_is_the_only_line() {
        let lines = lines(|asked| asked.answer(None, None, &[]).unwrap());
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["code"], "OK");
    }
}

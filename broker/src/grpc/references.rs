//! `keyward.v1.References`: what the webhook asks. Never a value, and no vault is asked.

use std::sync::Arc;

use keyward_proto::{
    MAX_REFERENCES,
    v1::{self, CheckRequest, CheckResponse, CheckedReference, Verdict},
};
use tonic::{Request, Response, Status};

use super::errors;
use crate::{
    check::{Checked, check},
    policy::Current,
};

/// Of one reason, in characters: a thousand of them must make a reply that can be sent.
const MAX_REASON: usize = 1_000;

/// The service.
pub struct ReferencesService {
    /// What the manifests say.
    pub snapshot: Arc<Current>,
}

#[tonic::async_trait]
impl v1::references_server::References for ReferencesService {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let CheckRequest { namespace, references } = request.get_ref();
        if namespace.is_empty() {
            return Err(errors::invalid("namespace is missing"));
        }
        let count = references.len();
        if count > MAX_REFERENCES {
            let message = format!("{count} references in one request; at most {MAX_REFERENCES} are answered");
            return Err(errors::invalid(message));
        }
        let snapshot = self.snapshot.load();
        let checked = references.iter().map(|reference| shown(check(&snapshot, namespace, reference)));
        let references = checked.collect::<Option<_>>().ok_or_else(errors::not_synced)?;
        Ok(Response::new(CheckResponse { references }))
    }
}

/// `None` where nothing can be said yet: an admission must not be decided by what is only not known.
fn shown(checked: Checked) -> Option<CheckedReference> {
    let (verdict, reason) = match checked {
        Checked::Known => (Verdict::Known, String::new()),
        Checked::Unknown(reason) => (Verdict::Unknown, reason),
        Checked::Forbidden(reason) => (Verdict::Forbidden, reason),
        Checked::Invalid(reason) => (Verdict::Invalid, reason),
        Checked::NotYet => return None,
    };
    Some(CheckedReference { verdict: verdict.into(), reason: reason.chars().take(MAX_REASON).collect() })
}

#[cfg(test)]
mod tests {
    use keyward_proto::{MAX_REPLY_BYTES, v1::references_server::References as _};
    use prost::Message as _;
    use tonic::Code;

    use super::*;
    use crate::{
        policy::Snapshot,
        testing::{self, ACME},
    };

    async fn checked(namespace: &str, references: Vec<String>) -> Result<CheckResponse, Status> {
        let secret = testing::secret("shop", "db", "acme", "db");
        let snapshot = Arc::new(Current::new(testing::snapshot(&format!("{ACME}{secret}"))));
        let request = Request::new(CheckRequest { namespace: namespace.to_owned(), references });
        ReferencesService { snapshot }.check(request).await.map(Response::into_inner)
    }

    #[tokio::test]
    async fn each_reference_is_answered_in_the_order_asked() {
        let asked = ["no@azurekeyvault", "db@azurekeyvault", "db", "db@azurekeyvault"].map(str::to_owned);
        let answer = checked("shop", asked.to_vec()).await.unwrap();
        let verdicts: Vec<_> = answer.references.iter().map(CheckedReference::verdict).collect();
        assert_eq!(verdicts, [Verdict::Unknown, Verdict::Known, Verdict::Invalid, Verdict::Known]);
        assert!(answer.references.iter().all(|one| one.reason.is_empty() == (one.verdict() == Verdict::Known)));
    }

    #[tokio::test]
    async fn before_everything_was_read_nothing_is_said() {
        let unread = Snapshot::unread(crate::policy::testing::defaults(crate::policy::DefaultAccess::Allow));
        let request = CheckRequest { namespace: "shop".to_owned(), references: vec!["db@azurekeyvault".to_owned()] };
        let service = ReferencesService { snapshot: Arc::new(Current::new(unread)) };
        let refused = service.check(Request::new(request)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{}", refused.message());
    }

    #[tokio::test]
    async fn too_many_and_no_namespace_are_refused() {
        for (namespace, count) in [("shop", 1_001), ("", 1)] {
            let refused = checked(namespace, vec!["db@azurekeyvault".to_owned(); count]).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{}", refused.message());
        }
    }

    #[tokio::test]
    async fn the_longest_answer_can_be_sent() {
        let long = format!("{}@azurekeyvault", "n".repeat(253));
        let answer = checked("shop", vec![long; 1_000]).await.unwrap();
        assert!(answer.encoded_len() < MAX_REPLY_BYTES, "{}", answer.encoded_len());
    }
}

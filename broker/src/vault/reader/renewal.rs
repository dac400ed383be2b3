//! A vault that says no to a good token may have said it to rights that are out of date: the token is fetched anew
//! before its answer counts.

use super::AzureVault;
use crate::vault::credential::Renewal;

impl AzureVault {
    /// Fetches a token anew, unless the one in use is fresh, and makes the next read use it. Where this says
    /// [`Renewal::Fresh`], a refusal of the next read is the vault's answer.
    pub(super) async fn renewed(&self) -> Renewal {
        let renewal = self.identity.renew_now().await;
        if renewal == Renewal::Fresh {
            // The configuration opened these clients before. Were one refused now, the old one would still serve.
            let reopened = [self.secrets.reopen(), self.certificates.reopen(), self.keys.reopen()];
            if reopened.iter().any(Result::is_err) {
                return Renewal::Stale;
            }
        }
        renewal
    }
}

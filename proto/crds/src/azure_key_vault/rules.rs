//! What the API server refuses of an `AzureKeyVault`: what the broker could make no sense of. What depends on the broker's
//! own settings is not for these rules; the condition `Ready` says it.

use kube::core::Rule;

use crate::rules::{required, rule, rule_of};

/// Units of a duration, from the second up.
const UNITS: &str = "(s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hr|hrs|hour|hours|d|day|days|w|wk|wks|week|weeks|\
                     M|month|months|y|yr|yrs|year|years)";

pub(super) fn url() -> [Rule; 1] {
    [rule(
        "self.matches('(?i)^https://([a-z0-9_-]+([.][a-z0-9_-]+)*|\\\\[[0-9a-f:.]+\\\\])(:[0-9]{1,5})?/?$')",
        "a vault's URL is https://HOST or https://HOST:PORT, without user, path and query; correct it",
    )]
}

pub(super) fn id() -> [Rule; 1] {
    [rule(
        "self.matches('^[a-zA-Z0-9._-]{1,128}$') && !self.matches('^[.]*$')",
        "an id has 1 to 128 letters, digits, `-`, `.` and `_`; write it as the Azure portal shows it",
    )]
}

pub(super) fn resource_id() -> [Rule; 1] {
    [rule(
        "self.matches('^/[!-~]*$')",
        "a resource id begins with `/` and has no blanks, such as /subscriptions/…; write it as the Azure portal shows it",
    )]
}

pub(super) fn secret_name() -> [Rule; 1] {
    [rule(
        "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && self.size() <= 63",
        "the Secret's name has up to 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit; \
         name the Secret so",
    )]
}

pub(super) fn poll_interval() -> [Rule; 1] {
    [rule(
        format!("self.matches('^( *[0-9]+ *{UNITS})+ *$') && self.matches('[1-9]')"),
        "a number of at least one second and its unit, such as 30s, 10m or 1h30m; correct it",
    )]
}

pub(super) fn max_stale() -> [Rule; 1] {
    [rule(
        format!("self == '0' || self.matches('^( *[0-9]+ *{UNITS})+ *$')"),
        "a number and its unit, such as 12h, 7d or 1h30m, or 0s for not at all; correct it",
    )]
}

/// What goes with which type.
pub(super) fn identity() -> [Rule; 6] {
    let application = "has(self.type) && self.type in ['ClientSecret', 'ClientCertificate']";
    let machine = "has(self.type) && self.type == 'ManagedIdentity'";
    let for_machine = "is of use to type ManagedIdentity alone; set the type, or remove it";
    [
        rule_of(
            ".secretName",
            format!("!has(self.secretName) || {application}"),
            "is of use to the types ClientSecret and ClientCertificate alone; set the type, or remove it",
        ),
        required(
            ".secretName",
            format!("!({application}) || has(self.secretName)"),
            "the types ClientSecret and ClientCertificate need it",
        ),
        required(
            ".clientId",
            format!("!({application}) || has(self.clientId)"),
            "the types ClientSecret and ClientCertificate need it",
        ),
        rule_of(".objectId", format!("!has(self.objectId) || {machine}"), for_machine),
        rule_of(".resourceId", format!("!has(self.resourceId) || {machine}"), for_machine),
        rule(
            format!(
                "!({machine}) || !(has(self.clientId) && has(self.objectId)) && \
                 !(has(self.clientId) && has(self.resourceId)) && !(has(self.objectId) && has(self.resourceId))"
            ),
            "clientId, objectId and resourceId exclude each other; keep one",
        ),
    ]
}

/// What depends on several fields.
pub(super) fn spec() -> [Rule; 3] {
    let inner = "has(self.identity) && has(self.identity.tenantId)";
    [
        rule_of(
            ".identity.tenantId",
            format!("!has(self.tenantId) || !({inner}) || self.tenantId == self.identity.tenantId"),
            "differs from spec.tenantId; keep one",
        ),
        rule_of(
            ".identity",
            format!(
                "!has(self.identity) || !has(self.identity.type) || self.identity.type != 'ManagedIdentity' || \
                 !has(self.tenantId) && !({inner})"
            ),
            "a managed identity has the tenant it was made in; remove tenantId",
        ),
        rule_of(
            ".url",
            format!(
                "!has(self.url) || !has(self.cloud) || ({} ? self.cloud == 'AzurePublic' : {} ? self.cloud == \
                 'AzureUSGovernment' : {} ? self.cloud == 'AzureChina' : true)",
                in_cloud("azure[.]net"),
                in_cloud("usgovcloudapi[.]net"),
                in_cloud("azure[.]cn"),
            ),
            "is in another cloud than spec.cloud says; correct one of them",
        ),
    ]
}

fn in_cloud(suffix: &str) -> String {
    format!("self.url.matches('(?i)^https://([^/:]*[.])?vault[.]{suffix}(:[0-9]*)?/?$')")
}

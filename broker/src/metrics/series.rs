//! Every series that the broker exports: the table from which they are registered and `docs/metrics.md` is made.

/// What a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; exported with the suffix `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Exported as `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// One series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// Without prefix and suffix.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels; each has a bounded number of values.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Series {
    Series { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Series {
    Series { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Series {
    Series { name, kind: Kind::Histogram, labels, help }
}

pub(super) const REQUESTS: Series = counter(
    "requests",
    &["method", "code"],
    "gRPC requests answered, by method and code; CANCELLED where the caller left",
);
pub(super) const REQUEST_DURATION: Series =
    histogram("request_duration_seconds", &["method"], "From a gRPC request to the head of its answer");

pub(super) const CACHE_HITS: Series = counter("cache_hits", &[], "Objects answered from memory");
pub(super) const CACHE_STALE_HITS: Series =
    counter("cache_stale_hits", &[], "Of these, objects that their vault could not confirm in time");
pub(super) const CACHE_MISSES: Series = counter("cache_misses", &[], "Objects that had to be waited for");
pub(super) const CACHE_REFUSALS: Series =
    counter("cache_refusals", &[], "Objects refused from memory, because their vault had just refused them");
pub(super) const CACHE_OLDER: Series =
    counter("cache_older_answers", &[], "Answers not taken, because a newer version was held already");
pub(super) const CACHE_ENTRIES: Series = gauge("cache_entries", &[], "Objects held");
pub(super) const CACHE_BYTES: Series = gauge("cache_bytes", &[], "Estimated memory of the objects held");
pub(super) const CACHE_MAX_BYTES: Series = gauge("cache_max_bytes", &[], "The bound on it");

pub(super) const VAULT_REQUESTS: Series = counter(
    "vault_requests",
    &["vault", "operation", "status"],
    "Requests sent to Key Vault, challenges included, by HTTP status; `none` for no answer",
);
pub(super) const VAULT_REQUEST_DURATION: Series = histogram(
    "vault_request_duration_seconds",
    &["operation"],
    "From a request to Key Vault to the head of its answer",
);
pub(super) const VAULT_OBJECTS: Series = gauge("vault_objects", &["vault"], "Objects held of the vault");
pub(super) const VAULT_STALE_OBJECTS: Series =
    gauge("vault_stale_objects", &["vault"], "Of these, objects that the vault could not confirm in time");
pub(super) const VAULT_STALEST: Series =
    gauge("vault_stale_seconds", &["vault"], "For how long the stalest of them should have been confirmed");
pub(super) const VAULT_BUDGET: Series = gauge("vault_budget", &["vault"], "Requests that may be sent at once, at most");
pub(super) const VAULT_BUDGET_LEFT: Series =
    gauge("vault_budget_left", &["vault"], "Requests that may be sent at once, now");
pub(super) const VAULT_BREAKER_OPEN: Series =
    gauge("vault_breaker_open", &["vault"], "1 while the vault is left alone or probed, because it throttles or fails");
pub(super) const VAULT_POLLS: Series =
    counter("vault_polls", &["vault", "outcome"], "Comparisons of what is held with the vault: `ok`, or `failed`");
pub(super) const VAULT_CHANGES: Series =
    counter("vault_changes", &["vault"], "Objects that comparisons found changed, gone, refused or back");
pub(super) const VAULT_POLL_AGE: Series =
    gauge("vault_poll_age_seconds", &["vault"], "Since the last comparison that was complete began");
pub(super) const VAULT_POLL_INTERVAL: Series =
    gauge("vault_poll_interval_seconds", &["vault"], "How often the vault is to be compared");

pub(super) const VAULT_SHARE: Series =
    gauge("vault_budget_share", &["vault"], "The part of the vault's budget that this replica may spend, from 0 to 1");

pub(super) const PEERS: Series =
    gauge("peers", &["state"], "Other replicas that are seen: `warming`, `serving` or `leaving`");
pub(super) const PEERS_LOST: Series =
    counter("peers_lost", &[], "Other replicas that were lost without having said that they leave");
pub(super) const PEER_SILENCE: Series =
    gauge("peer_silence_seconds", &[], "Since the other replica was heard that has been silent longest");
pub(super) const FOLLOWERS: Series = gauge("followers", &[], "Replicas that follow this one");
pub(super) const FOLLOWERS_CUT_OFF: Series =
    counter("followers_cut_off", &[], "Followers that were too slow, and had to begin anew");
pub(super) const PEER_READS: Series = counter(
    "peer_reads",
    &["outcome"],
    "Objects asked of the replica that owns their vault: `found`, `refused`, `moved` where that replica was lost meanwhile, \
     `failed` where no other one answered either",
);
pub(super) const VAULTS_OWNED: Series = gauge("vaults_owned", &[], "Open vaults that this replica polls");
pub(super) const VAULTS_WON: Series =
    counter("vaults_won", &[], "Open vaults that became this replica's because another one came, left or was lost");

pub(super) const TOKEN_AGE: Series =
    gauge("identity_token_age_seconds", &["identity"], "Since the identity's token in use was fetched");
pub(super) const TOKEN_EXPIRY: Series =
    gauge("identity_token_expiry_timestamp_seconds", &["identity"], "When it ends, in Unix time");
pub(super) const SIGN_INS: Series = counter(
    "identity_sign_ins",
    &["identity", "outcome"],
    "Sign-ins to Entra or an identity endpoint: `ok`, or `failed`",
);

pub(super) const CERTIFICATE_EXPIRY: Series = gauge(
    "certificate_expiry_timestamp_seconds",
    &["certificate"],
    "When a certificate of the TLS directory ends, in Unix time: `server`, `ca-0`, `ca-1`, …",
);
pub(super) const CONNECTIONS_OPEN: Series = gauge("connections_open", &[], "gRPC connections, handshakes included");
pub(super) const CONNECTIONS: Series = counter(
    "connections",
    &["outcome"],
    "gRPC connections: `accepted`, `refused_peer_limit`, `refused_no_certificates`, `handshake_failed`",
);

pub(super) const WATCH_HEALTHY: Series = gauge(
    "watch_healthy",
    &["watched"],
    "1 while the API server is heard; 0 while a watch fails, and what it told last holds",
);
pub(super) const WATCH_FAILURES: Series =
    counter("watch_failures", &["watched"], "Lists and watches of the API server that failed");
pub(super) const SNAPSHOTS: Series =
    counter("snapshots", &[], "Snapshots made of what the API server told: many objects of a burst are one");
pub(super) const REVIEWS: Series = counter(
    "reviews",
    &["of", "outcome"],
    "Reviews of tokens and of operators' access by the API server, of `pods` or `operators`: `accepted`, `refused`, or \
     `failed` for no answer",
);

pub(super) const POD_READS: Series = counter(
    "pod_reads",
    &["outcome"],
    "Pods read from the API server, one for each launch and more while a restart does not show: `found`, `missing`, or \
     `failed` for no answer",
);
pub(super) const BINDING_REFUSALS: Series = counter(
    "binding_refusals",
    &["reason"],
    "Resolves refused by what their pod shows, see docs/least-read.md: `no_container`, `no_name`, `not_carried`, `gone`, \
     `ended`, `replayed`; `restart_unseen`, `unreadable` and `no_records` are worth another try",
);
pub(super) const BINDING_UNRECORDED: Series = counter(
    "binding_unrecorded",
    &[],
    "Values handed out for a start of a container that is older than the records: one of it may have been lost",
);
pub(super) const BINDING_LEGACY: Series = counter(
    "binding_legacy",
    &[],
    "Values handed out in pods whose launchers were not told their container's name: older than this version, or not \
     injected by the webhook",
);
pub(super) const BINDING_RECORDS: Series =
    gauge("binding_records", &[], "Starts of containers on record as having been given their values");
pub(super) const BINDING_RECORDS_DROPPED: Series =
    counter("binding_records_dropped", &[], "Records that made room for newer ones before their time");

pub(super) const SECRETS: Series = gauge("secrets", &[], "AzureKeyVaultSecrets that hold");
pub(super) const MANIFEST_PROBLEMS: Series = gauge("manifest_problems", &[], "Manifests that do not hold");
pub(super) const VAULTS_OPEN: Series = gauge("vaults_open", &[], "Vaults that are read");

/// Every series, in the order of the document.
pub const ALL: [&Series; 50] = [
    &REQUESTS,
    &REQUEST_DURATION,
    &CACHE_HITS,
    &CACHE_STALE_HITS,
    &CACHE_MISSES,
    &CACHE_REFUSALS,
    &CACHE_OLDER,
    &CACHE_ENTRIES,
    &CACHE_BYTES,
    &CACHE_MAX_BYTES,
    &VAULT_REQUESTS,
    &VAULT_REQUEST_DURATION,
    &VAULT_OBJECTS,
    &VAULT_STALE_OBJECTS,
    &VAULT_STALEST,
    &VAULT_BUDGET,
    &VAULT_BUDGET_LEFT,
    &VAULT_BREAKER_OPEN,
    &VAULT_POLLS,
    &VAULT_CHANGES,
    &VAULT_POLL_AGE,
    &VAULT_POLL_INTERVAL,
    &VAULT_SHARE,
    &PEERS,
    &PEERS_LOST,
    &PEER_SILENCE,
    &FOLLOWERS,
    &FOLLOWERS_CUT_OFF,
    &PEER_READS,
    &VAULTS_OWNED,
    &VAULTS_WON,
    &TOKEN_AGE,
    &TOKEN_EXPIRY,
    &SIGN_INS,
    &CERTIFICATE_EXPIRY,
    &CONNECTIONS_OPEN,
    &CONNECTIONS,
    &WATCH_HEALTHY,
    &WATCH_FAILURES,
    &SNAPSHOTS,
    &REVIEWS,
    &POD_READS,
    &BINDING_REFUSALS,
    &BINDING_UNRECORDED,
    &BINDING_LEGACY,
    &BINDING_RECORDS,
    &BINDING_RECORDS_DROPPED,
    &SECRETS,
    &MANIFEST_PROBLEMS,
    &VAULTS_OPEN,
];

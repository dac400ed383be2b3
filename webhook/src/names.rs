//! What Keyward's parts of a pod are called. The chart's policy, the launcher and the documents know them too.

/// The init container that brings the launcher.
pub const COPIER: &str = "keyward-copier";
/// The launcher as containers see it.
pub const LAUNCHER: &str = "/azure-keyvault/keyward-launcher";
/// The launcher in its own image.
pub const LAUNCHER_IN_IMAGE: &str = "/keyward-launcher";
/// The volume that it is copied to, and where it is mounted.
pub const LAUNCHER_VOLUME: &str = "keyward-launcher";
/// See [`LAUNCHER_VOLUME`].
pub const LAUNCHER_PATH: &str = "/azure-keyvault";
/// The volume with the pod's token and the broker's authority, and where it is mounted.
pub const IDENTITY_VOLUME: &str = "keyward-identity";
/// See [`IDENTITY_VOLUME`].
pub const IDENTITY_PATH: &str = "/var/run/secrets/keyward.dev";
/// The only audience of the token.
pub const AUDIENCE: &str = "keyward-broker";
/// The `ConfigMap` with the broker's authority, in every namespace that is enabled.
pub const AUTHORITY: &str = "keyward-ca";
/// Its key.
pub const AUTHORITY_KEY: &str = "ca.crt";
/// The label by which a pod is left alone.
pub const OPT_OUT_LABEL: &str = "keyward.dev/inject";
/// Its value.
pub const OPT_OUT: &str = "disabled";
/// The variable with the names that a container's references had when its pod was created.
pub const REFERENCES: &str = keyward_proto::REFERENCES_VARIABLE;
/// The variable that tells the launcher, and through it the broker, which container it is in.
pub const CONTAINER: &str = keyward_proto::CONTAINER_VARIABLE;

//! Every way to refuse a pod: what is wrong with it, on which container, and what to do.

use crate::image::ImageError;

/// Why a pod is not created.
#[derive(Debug, thiserror::Error)]
pub enum Denial {
    /// The launcher runs on Linux.
    #[error(
        "container {container}: variable {variable} refers to Azure Key Vault, and the pod asks for a Windows node, where \
         Keyward cannot inject; let an AzureKeyVaultSecret write the value to a Secret (spec.output.secret) and use that"
    )]
    Windows {
        /// The first container with a reference.
        container: String,
        /// And its variable.
        variable: String,
    },
    /// The launcher would refuse it at every start.
    #[error("container {container}: variable {variable} says `@azurekeyvault` and is no reference: {rule}")]
    Malformed {
        /// The container.
        container: String,
        /// The variable.
        variable: String,
        /// What its value breaks.
        rule: &'static str,
    },
    /// The kubelet would put the literal there before the launcher runs.
    #[error(
        "container {container}: {place} expands $({name}), which is a reference: the program would get the literal and not \
         the value. Read the variable {name} in the program, or run a shell that expands it: command [sh, -c], args \
         ['exec app --flag \"${name}\"']"
    )]
    EmbeddedInCommand {
        /// The container.
        container: String,
        /// `command` or `args`.
        place: &'static str,
        /// The variable.
        name: String,
    },
    /// The same in another variable's value.
    #[error(
        "container {container}: variable {variable} has $({name}), which is a reference, inside of a longer text: the program \
         would get the literal and not the value. Put the whole text into Key Vault, or let the program join the two"
    )]
    EmbeddedInVariable {
        /// The container.
        container: String,
        /// The variable with the longer text.
        variable: String,
        /// The variable that is a reference.
        name: String,
    },
    /// The broker refuses more.
    #[error("container {container} has {count} different references; at most {max} are resolved", max = keyward_proto::MAX_REFERENCES)]
    TooMany {
        /// The container.
        container: String,
        /// How many.
        count: usize,
    },
    /// What the image starts is not known.
    #[error("container {container} has references and no `command`: {source}")]
    Image {
        /// The container.
        container: String,
        /// Why not.
        source: ImageError,
    },
    /// The image starts nothing, and neither does the pod.
    #[error(
        "container {container} has references, and neither it nor its image {image} says what to run; set `command` in the \
         container"
    )]
    NothingToRun {
        /// The container.
        container: String,
        /// Its image.
        image: String,
    },
    /// A volume of ours is somebody else's.
    #[error("the pod has a volume {name} of its own, and Keyward needs that name; rename the volume")]
    Volume {
        /// Its name.
        name: &'static str,
    },
    /// A path of ours is taken.
    #[error("container {container} mounts volume {volume} at {path}, where Keyward mounts its own; mount it elsewhere")]
    Mount {
        /// The container.
        container: String,
        /// The volume.
        volume: String,
        /// The path.
        path: String,
    },
    /// Where unresolved references are denied.
    #[error("{}", .0.join("; "))]
    Unresolved(Vec<String>),
}

//! What must hold of every parser of foreign bytes, whatever the bytes: one function for each, which panics where it does
//! not. `cargo test` tries the corpora, `tests/fuzz/run` looks for more with libFuzzer.
//!
//! | room | bytes | come from |
//! |---|---|---|
//! | [`review`] | an `AdmissionReview` | whoever creates pods, by the API server |
//! | [`image`] | an image's configuration, its manifest, its name | registries, and whoever creates pods |
//! | [`events`] | a delivery of Event Grid | whoever has a key of it, or a token |
//! | [`messages`] | any message of the contract | whoever reaches the broker's port |
//! | [`token`] | a token, a key set | whoever reaches the broker's port, the issuer |
//! | [`certificate`] | a PFX or PEM with its leaf | whoever may write to a vault |
//! | [`answer`] | a vault's refusal, a page of its list | whoever answers as a vault |
//! | [`pod`] | a pod | the API server, and whoever creates pods |
//! | [`mod@reference`] | an environment variable's value | whoever creates pods |

pub mod answer;
pub mod certificate;
pub mod events;
pub mod image;
pub mod messages;
pub mod pod;
pub mod reference;
pub mod review;
pub mod token;

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// Each by the name of its corpus.
pub const TARGETS: [(&str, Target); 13] = [
    ("admission_review", review::admission_review),
    ("certificate", certificate::certificate),
    ("event_grid", events::event_grid),
    ("image_config", image::image_config),
    ("image_manifest", image::image_manifest),
    ("image_name", image::image_name),
    ("key_set", token::key_set),
    ("list_page", answer::list_page),
    ("message", messages::message),
    ("pod", pod::pod),
    ("reference", reference::reference),
    ("refusal", answer::refusal),
    ("token", token::token),
];

/// What a person is told about foreign bytes: bounded, in one line, without control characters.
fn assert_is_shown_well(message: &str) {
    assert!(message.len() <= MAX_MESSAGE, "a message of {} bytes: {message:.200}", message.len());
    assert!(!message.chars().any(char::is_control), "a control character in {message:?}");
}

/// The API server takes 4 KiB of all warnings together.
const MAX_MESSAGE: usize = 2 * 1024;

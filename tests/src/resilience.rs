//! What Keyward promises while a vault changes, throttles or is away, with the real broker over real sockets. Tests
//! assert its exact counts; `cargo bench-resilience` prints its times.
//!
//! | room | does |
//! |---|---|
//! | [`shop`] | vaults of many secrets, manifests that use some of them, and who asks |
//! | [`changes`] | values that change at random moments, and when each is seen |
//! | [`storm`] | a vault that throttles, and what reaches it meanwhile |
//! | [`launches`] | launches while every vault and Entra are away |
//! | [`times`] | durations → what people read: pure |

pub mod changes;
pub mod launches;
pub mod shop;
pub mod storm;
pub mod times;

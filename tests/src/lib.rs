//! Fakes and harnesses.

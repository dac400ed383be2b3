//! Pure rendering.

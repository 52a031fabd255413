//! Structures that several formats have inside.

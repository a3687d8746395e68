//! Python objects by the schema table.

mod depth;

pub use depth::too_deep;

//! Python objects by the schema table.

mod depth;
mod misfit;

pub use depth::too_deep;
pub use misfit::first_misfit;

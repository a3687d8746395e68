//! Python objects by the schema table.

mod decimal;
mod depth;
mod leaf;
mod misfit;

pub use decimal::oversized_decimal;
pub use depth::too_deep;
pub use misfit::first_misfit;

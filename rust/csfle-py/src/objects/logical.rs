//! Logical types whose values have a Python class of their own, both ways as fastavro converts them.

use csfle_core::schema::Type;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyInt, PyString, PyTuple, PyType};

use super::choice::Class;
use super::slow::Slow;

/// A logical type that is converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logical {
    /// An int: days since 1970.
    Date,
    /// An int of milliseconds or a long of microseconds.
    Time(Unit),
    /// A long. One that is not local is in UTC.
    Timestamp { unit: Unit, local: bool },
    /// A string.
    Uuid,
    /// Bytes, or a fixed of `size` bytes.
    Decimal { digits: u32, scale: u32, size: Option<usize> },
}

/// What a time is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Millis,
    Micros,
}

impl Unit {
    /// Microseconds in it.
    fn micros(self) -> i64 {
        match self {
            Self::Millis => 1_000,
            Self::Micros => 1,
        }
    }
}

/// Digits of the widest decimal: as many as always fit into 127 bits.
const MOST_DIGITS: u64 = 38;

/// Python's number of the first of January 1970.
const DAYS_BEFORE_1970: i64 = 719_163;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

impl Logical {
    /// The conversion of a logical type, None where it has none: a decimal's is told elsewhere.
    pub fn named(ty: &Type, name: &str) -> Option<Self> {
        use Unit::{Micros, Millis};

        Some(match (ty, name) {
            (Type::Int, "date") => Self::Date,
            (Type::Int, "time-millis") => Self::Time(Millis),
            (Type::Long, "time-micros") => Self::Time(Micros),
            (Type::Long, "timestamp-millis") => Self::Timestamp { unit: Millis, local: false },
            (Type::Long, "timestamp-micros") => Self::Timestamp { unit: Micros, local: false },
            (Type::Long, "local-timestamp-millis") => Self::Timestamp { unit: Millis, local: true },
            (Type::Long, "local-timestamp-micros") => Self::Timestamp { unit: Micros, local: true },
            (Type::String, "uuid") => Self::Uuid,
            _ => return None,
        })
    }

    /// The conversion of a decimal, None where it may have more digits than fit.
    pub fn decimal(precision: u64, scale: u64, size: Option<usize>) -> Option<Self> {
        let digits = u32::try_from(precision).ok().filter(|_| precision <= MOST_DIGITS)?;
        Some(Self::Decimal { digits, scale: u32::try_from(scale).ok()?, size })
    }
}

/// Python's classes for them.
pub struct Classes {
    date: Py<PyType>,
    time: Py<PyType>,
    datetime: Py<PyType>,
    timedelta: Py<PyType>,
    timezone: Py<PyType>,
    decimal: Py<PyType>,
    uuid: Py<PyType>,
    epoch: Py<PyAny>,
    local_epoch: Py<PyAny>,
}

impl Classes {
    pub fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();
        CLASSES.get_or_try_init(py, || {
            let class = |module: &str, name: &str| -> PyResult<Py<PyType>> {
                Ok(py.import(module)?.getattr(name)?.cast_into::<PyType>()?.unbind())
            };
            let datetime = class("datetime", "datetime")?;
            let timezone = class("datetime", "timezone")?;
            let local_epoch = datetime.call1(py, (1970, 1, 1))?;
            let utc = timezone.getattr(py, "utc")?;
            let epoch = datetime.call1(py, (1970, 1, 1, 0, 0, 0, 0, utc))?;
            Ok(Self {
                date: class("datetime", "date")?,
                time: class("datetime", "time")?,
                datetime,
                timedelta: class("datetime", "timedelta")?,
                timezone,
                decimal: class("decimal", "Decimal")?,
                uuid: class("uuid", "UUID")?,
                epoch,
                local_epoch,
            })
        })
    }

    /// The class of a value, if it is one of these.
    pub fn of(&self, value: &Bound<'_, PyAny>) -> Option<Class> {
        let class = value.get_type();
        [
            (&self.datetime, Class::Datetime),
            (&self.decimal, Class::Decimal),
            (&self.uuid, Class::Uuid),
            (&self.date, Class::Date),
            (&self.time, Class::Time),
        ]
        .into_iter()
        .find_map(|(known, name)| class.is(known).then_some(name))
    }

    fn must_be(&self, value: &Bound<'_, PyAny>, class: Class) -> Result<(), Slow> {
        if self.of(value) == Some(class) { Ok(()) } else { Err(Slow::Row) }
    }

    /// Days of a date.
    pub fn days(&self, value: &Bound<'_, PyAny>) -> Result<i64, Slow> {
        self.must_be(value, Class::Date)?;
        let ordinal: i64 = value.call_method0(intern!(value.py(), "toordinal"))?.extract()?;
        Ok(ordinal - DAYS_BEFORE_1970)
    }

    pub fn date<'py>(&self, py: Python<'py>, days: i64) -> Result<Bound<'py, PyAny>, Slow> {
        let ordinal = days.checked_add(DAYS_BEFORE_1970).ok_or(Slow::Row)?;
        Ok(self.date.bind(py).call_method1(intern!(py, "fromordinal"), (ordinal,))?)
    }

    /// Units of a time of day.
    pub fn units_of_day(&self, value: &Bound<'_, PyAny>, unit: Unit) -> Result<i64, Slow> {
        self.must_be(value, Class::Time)?;
        let py = value.py();
        let part = |name: &Bound<'_, PyString>| -> PyResult<i64> { value.getattr(name)?.extract() };
        let minutes = part(intern!(py, "hour"))? * 60 + part(intern!(py, "minute"))?;
        let seconds = minutes * 60 + part(intern!(py, "second"))?;
        Ok((seconds * SECOND + part(intern!(py, "microsecond"))?) / unit.micros())
    }

    pub fn time<'py>(&self, py: Python<'py>, units: i64, unit: Unit) -> Result<Bound<'py, PyAny>, Slow> {
        let micros =
            units.checked_mul(unit.micros()).filter(|micros| (0..DAY).contains(micros)).ok_or(Slow::Row)?;
        let (seconds, micros) = (micros / SECOND, micros % SECOND);
        let parts = (seconds / 3_600, seconds / 60 % 60, seconds % 60, micros);
        Ok(self.time.bind(py).call1(parts)?)
    }

    /// Units of a point in time since 1970. One without a zone is in local time, whose rules are left
    /// to fastavro, and so are zones that are programs of their own.
    pub fn units_since_1970(&self, value: &Bound<'_, PyAny>, unit: Unit, local: bool) -> Result<i64, Slow> {
        self.must_be(value, Class::Datetime)?;
        let py = value.py();
        let zone = value.getattr(intern!(py, "tzinfo"))?;
        let taken = if local { zone.is_none() } else { zone.get_type().is(&self.timezone) };
        if !taken {
            return Err(Slow::Row);
        }
        let since = value.sub(if local { &self.local_epoch } else { &self.epoch })?;
        let part = |name: &Bound<'_, PyString>| -> PyResult<i64> { since.getattr(name)?.extract() };
        let seconds = part(intern!(py, "days"))? * 86_400 + part(intern!(py, "seconds"))?;
        Ok((seconds * SECOND + part(intern!(py, "microseconds"))?).div_euclid(unit.micros()))
    }

    pub fn datetime<'py>(
        &self,
        py: Python<'py>,
        units: i64,
        unit: Unit,
        local: bool,
    ) -> Result<Bound<'py, PyAny>, Slow> {
        let micros = units.checked_mul(unit.micros()).ok_or(Slow::Row)?;
        let within = micros.rem_euclid(DAY);
        let since =
            self.timedelta.bind(py).call1((micros.div_euclid(DAY), within / SECOND, within % SECOND))?;
        let epoch = if local { &self.local_epoch } else { &self.epoch };
        Ok(epoch.bind(py).add(since)?)
    }

    /// A UUID in its usual form.
    pub fn uuid_text(&self, value: &Bound<'_, PyAny>) -> Result<String, Slow> {
        self.must_be(value, Class::Uuid)?;
        let number: u128 = value.getattr(intern!(value.py(), "int"))?.cast_exact::<PyInt>()?.extract()?;
        let hex = format!("{number:032x}");
        Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
    }

    /// A text has many forms that the class takes.
    pub fn uuid<'py>(&self, py: Python<'py>, text: &[u8]) -> Result<Bound<'py, PyAny>, Slow> {
        Ok(self.uuid.bind(py).call1((PyString::from_bytes(py, text)?,))?)
    }

    /// The unscaled number of a decimal that its type has room for, and whether it has a sign.
    pub fn unscaled(&self, value: &Bound<'_, PyAny>, digits: u32, scale: u32) -> Result<(u128, bool), Slow> {
        self.must_be(value, Class::Decimal)?;
        let parts = value.call_method0(intern!(value.py(), "as_tuple"))?;
        let (sign, figures, exponent): (u8, Bound<'_, PyTuple>, i64) = parts.extract()?;
        let zeros = exponent.checked_add(i64::from(scale)).and_then(|zeros| u32::try_from(zeros).ok());
        let zeros = zeros.ok_or(Slow::Row)?;
        if figures.len() as u64 + u64::from(zeros) > u64::from(digits) {
            return Err(Slow::Row);
        }
        let mut number = 0u128;
        for figure in figures.iter() {
            number = number * 10 + figure.extract::<u128>()?;
        }
        Ok((number * 10u128.pow(zeros), sign == 1))
    }

    /// The decimal of an unscaled number in big-endian bytes.
    pub fn decimal<'py>(
        &self,
        py: Python<'py>,
        bytes: &[u8],
        digits: u32,
        scale: u32,
    ) -> Result<Bound<'py, PyAny>, Slow> {
        let negative = bytes.first().is_some_and(|byte| *byte >= 0x80);
        let sign = if negative { 0xff } else { 0 };
        let mut wide = [sign; 16];
        let (front, number) = bytes.split_at(bytes.len().saturating_sub(wide.len()));
        let behind = wide.len() - number.len();
        wide[behind..].copy_from_slice(number);
        let number = i128::from_be_bytes(wide);
        if front.iter().any(|byte| *byte != sign) || (number < 0) != negative {
            return Err(Slow::Row);
        }
        // What is longer is rounded.
        if number.unsigned_abs() >= 10u128.pow(digits) {
            return Err(Slow::Row);
        }
        Ok(self.decimal.bind(py).call1((format!("{number}E-{scale}"),))?)
    }
}

//! Wall time, whose throughput is printed as a rate and its share of a ceiling.

use super::ceiling::Ceilings;
use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};

/// So many multiplications and additions an iteration.
pub fn flops(count: u64) -> Throughput {
    Throughput::Elements(count)
}

/// So many bytes read and written an iteration.
pub fn bytes(count: u64) -> Throughput {
    Throughput::Bytes(count)
}

/// Wall time beside the ceilings of the core.
pub struct Shares {
    time: WallTime,
    formatter: Formatter,
}

impl Shares {
    pub fn of(ceilings: Ceilings) -> Self {
        Self {
            time: WallTime,
            formatter: Formatter(ceilings),
        }
    }
}

impl Measurement for Shares {
    type Intermediate = <WallTime as Measurement>::Intermediate;
    type Value = <WallTime as Measurement>::Value;

    fn start(&self) -> Self::Intermediate {
        self.time.start()
    }

    fn end(&self, from: Self::Intermediate) -> Self::Value {
        self.time.end(from)
    }

    fn add(&self, a: &Self::Value, b: &Self::Value) -> Self::Value {
        self.time.add(a, b)
    }

    fn zero(&self) -> Self::Value {
        self.time.zero()
    }

    fn to_f64(&self, value: &Self::Value) -> f64 {
        self.time.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &self.formatter
    }
}

struct Formatter(Ceilings);

impl Formatter {
    /// Rate a nanosecond, that is in giga-units a second, with its unit and its ceiling.
    fn rate(&self, throughput: &Throughput, nanoseconds: f64) -> (f64, &'static str, f64) {
        let Ceilings {
            flops_per_second,
            bytes_per_second,
        } = self.0;
        match *throughput {
            Throughput::Bytes(count) => (count as f64 / nanoseconds, "GB/s", bytes_per_second),
            Throughput::Elements(count) => {
                (count as f64 / nanoseconds, "GFLOP/s", flops_per_second)
            }
            ref other => unreachable!("no kernel counts {other:?}"),
        }
    }
}

impl ValueFormatter for Formatter {
    fn format_throughput(&self, throughput: &Throughput, nanoseconds: f64) -> String {
        let (rate, unit, ceiling) = self.rate(throughput, nanoseconds);
        let share = 100.0 * rate * 1e9 / ceiling;
        format!("{rate:.1} {unit} ({share:.0} %)")
    }

    fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_values(typical, values)
    }

    fn scale_throughputs(
        &self,
        _: f64,
        throughput: &Throughput,
        values: &mut [f64],
    ) -> &'static str {
        let (_, unit, _) = self.rate(throughput, 1.0);
        for value in values {
            *value = self.rate(throughput, *value).0;
        }
        unit
    }

    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_for_machines(values)
    }
}

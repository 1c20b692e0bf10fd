//! The report as one JSON object.

use serde::{Serialize, Serializer};

use super::Report;

/// Renders the report as one line of JSON, without a line end.
pub(crate) fn render(report: &Report) -> String {
    serde_json::to_string(report).expect("a report has text keys and plain values only")
}

/// Writes pairs as an object that keeps their order.
pub(super) fn as_map<S: Serializer, V: Serialize>(
    pairs: &[(&'static str, V)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

#[cfg(test)]
mod tests {
    use super::super::{Course, DelayMs, JobCounts, SchedulerReport, TenantRow, WaitMs};
    use super::*;

    #[test]
    fn the_schema_is_the_documented_one() {
        let row = TenantRow {
            tenant: "acme".to_owned(),
            tier: "scale".to_owned(),
            weight: 2.0,
            jobs: 3,
            offered_cost: 4,
            served_cost: 2,
            entitled_cost: 2.5,
            share_ratio: None,
            wait_ms: WaitMs { p50: Some(0.5), ..WaitMs::default() },
            fluid_delay_ms: DelayMs { max: Some(2.5), ..DelayMs::default() },
            refused: 1,
        };
        let fair = SchedulerReport {
            jain: Some(1.0),
            min_share_ratio: None,
            throughput_per_s: 10.0,
            parked: [("rate", 5)].into(),
            tenants: vec![row],
            course: Course::default(),
        };
        let jobs =
            JobCounts { read: 3, refused: [("queue_full", 1)].into(), ..JobCounts::default() };
        let text = render(&Report { jobs, schedulers: vec![("fair", fair)] });
        let expected = concat!(
            r#"{"jobs":{"read":3,"malformed":0,"accepted":0,"refused":{"queue_full":1},"#,
            r#""dispatched":0,"expired":0,"returned":0,"lost":0},"#,
            r#""schedulers":{"fair":{"jain":1.0,"min_share_ratio":null,"throughput_per_s":10.0,"#,
            r#""parked":{"rate":5},"#,
            r#""tenants":[{"tenant":"acme","tier":"scale","weight":2.0,"jobs":3,"#,
            r#""offered_cost":4,"served_cost":2,"entitled_cost":2.5,"share_ratio":null,"#,
            r#""wait_ms":{"p50":0.5,"p99":null,"p999":null,"max":null},"#,
            r#""fluid_delay_ms":{"p50":null,"p99":null,"max":2.5}}]}}}"#,
        );
        assert_eq!(text, expected);
    }
}

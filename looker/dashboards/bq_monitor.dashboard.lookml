- dashboard: bq_monitor
  title: Model monitoring
  description: Health, alerts, drift, performance, data quality and cost of all monitors. Times are UTC.
  layout: newspaper
  preferred_viewer: dashboards-next

  filters:
  - name: Monitor
    title: Monitor
    type: field_filter
    model: bq_monitor
    explore: model_health
    field: model_health.monitor
    default_value: ""
    allow_multiple_values: true
    required: false
  - name: Date range
    title: Date range
    type: date_filter
    default_value: 90 days
    allow_multiple_values: true
    required: true
  - name: Segment
    title: Segment
    type: field_filter
    model: bq_monitor
    explore: drift_latest
    field: drift_latest.segment
    default_value: all
    allow_multiple_values: true
    required: false
  - name: Baseline
    title: Baseline
    type: field_filter
    model: bq_monitor
    explore: drift_latest
    field: drift_latest.baseline
    default_value: training
    allow_multiple_values: true
    required: false
  - name: Feature
    title: Feature
    type: field_filter
    model: bq_monitor
    explore: drift_latest
    field: drift_latest.feature
    default_value: ""
    allow_multiple_values: true
    required: false
  - name: Measure
    title: Measure of performance
    type: field_filter
    model: bq_monitor
    explore: performance_latest
    field: performance_latest.metric
    default_value: accuracy
    allow_multiple_values: true
    required: false

  elements:
  - name: fleet_health
    title: Fleet health
    model: bq_monitor
    explore: model_health
    type: looker_grid
    fields: [model_health.monitor, model_health.model_version, model_health.health, model_health.features_health,
      model_health.prediction_health, model_health.performance_health, model_health.concept_health, model_health.quality_health,
      model_health.n_drift, model_health.n_not_evaluated, model_health.window_end_time]
    sorts: [model_health.health, model_health.monitor, model_health.model_version]
    limit: 500
    listen:
      Monitor: model_health.monitor
    row: 0
    col: 0
    width: 16
    height: 7
  - name: n_open_alerts
    title: Open alerts
    model: bq_monitor
    explore: open_alerts
    type: single_value
    fields: [open_alerts.count]
    limit: 1
    listen:
      Monitor: open_alerts.monitor
    row: 0
    col: 16
    width: 4
    height: 7
  - name: n_critical_alerts
    title: Critical among them
    model: bq_monitor
    explore: open_alerts
    type: single_value
    fields: [open_alerts.count_critical]
    limit: 1
    listen:
      Monitor: open_alerts.monitor
    row: 0
    col: 20
    width: 4
    height: 7
  - name: open_alerts
    title: Open alerts
    model: bq_monitor
    explore: open_alerts
    type: looker_grid
    fields: [open_alerts.monitor, open_alerts.severity, open_alerts.status, open_alerts.kind, open_alerts.feature, open_alerts.measure,
      open_alerts.segment, open_alerts.since_time, open_alerts.n_windows, open_alerts.acknowledged_by, open_alerts.snoozed_until_time,
      open_alerts.message]
    sorts: [open_alerts.severity, open_alerts.since_time desc, open_alerts.kind, open_alerts.feature]
    limit: 500
    listen:
      Monitor: open_alerts.monitor
    row: 7
    col: 0
    width: 24
    height: 8
  - name: drift_heat
    title: Drift score by feature and window
    model: bq_monitor
    explore: drift_latest
    type: looker_grid
    fields: [drift_latest.feature, drift_latest.window_end_date, drift_latest.max_drift_score]
    pivots: [drift_latest.window_end_date]
    sorts: [drift_latest.window_end_date desc, drift_latest.feature]
    limit: 500
    column_limit: 100
    enable_conditional_formatting: true
    conditional_formatting:
    - type: along a scale...
      fields: [drift_latest.max_drift_score]
      color_application:
        collection_id: legacy
        palette_id: legacy_sequential1
    listen:
      Monitor: drift_latest.monitor
      Date range: drift_latest.window_end_date
      Segment: drift_latest.segment
      Baseline: drift_latest.baseline
      Feature: drift_latest.feature
    row: 15
    col: 0
    width: 24
    height: 9
  - name: verdicts
    title: Verdicts by window
    model: bq_monitor
    explore: drift_latest
    type: looker_column
    fields: [drift_latest.window_end_time, drift_latest.count_ok, drift_latest.count_drift, drift_latest.count_not_evaluated]
    sorts: [drift_latest.window_end_time]
    limit: 500
    stacking: normal
    listen:
      Monitor: drift_latest.monitor
      Date range: drift_latest.window_end_date
      Segment: drift_latest.segment
      Baseline: drift_latest.baseline
      Feature: drift_latest.feature
    row: 24
    col: 0
    width: 12
    height: 8
  - name: what_drifts
    title: What drifts, in words
    model: bq_monitor
    explore: drift_latest
    type: looker_grid
    fields: [drift_latest.monitor, drift_latest.window_end_time, drift_latest.feature, drift_latest.segment, drift_latest.metric,
      drift_latest.drift_score, drift_latest.p_adjusted, drift_latest.explanation]
    filters:
      drift_latest.status: drift
    sorts: [drift_latest.window_end_time desc, drift_latest.drift_score desc]
    limit: 500
    listen:
      Monitor: drift_latest.monitor
      Date range: drift_latest.window_end_date
      Segment: drift_latest.segment
      Baseline: drift_latest.baseline
      Feature: drift_latest.feature
    row: 24
    col: 12
    width: 12
    height: 8
  - name: metric_timeline
    title: Deciding metric with threshold, noise floor and bounds (choose one feature)
    model: bq_monitor
    explore: drift_timeline
    type: looker_line
    fields: [drift_timeline.window_end_time, drift_timeline.average_value, drift_timeline.average_threshold,
      drift_timeline.average_noise_floor, drift_timeline.average_lower, drift_timeline.average_upper]
    sorts: [drift_timeline.window_end_time]
    limit: 500
    listen:
      Monitor: drift_timeline.monitor
      Date range: drift_timeline.window_end_date
      Segment: drift_timeline.segment
      Baseline: drift_timeline.baseline
      Feature: drift_timeline.feature
    row: 32
    col: 0
    width: 12
    height: 8
  - name: performance
    title: Performance realised, estimated and observed (choose one measure)
    model: bq_monitor
    explore: performance_latest
    type: looker_line
    fields: [performance_latest.window_end_time, performance_latest.basis, performance_latest.average_value,
      performance_latest.average_lower, performance_latest.average_upper]
    pivots: [performance_latest.basis]
    sorts: [performance_latest.basis, performance_latest.window_end_time]
    limit: 500
    listen:
      Monitor: performance_latest.monitor
      Date range: performance_latest.window_end_date
      Segment: performance_latest.segment
      Measure: performance_latest.metric
    row: 32
    col: 12
    width: 12
    height: 8
  - name: limits
    title: Limits of performance that are broken
    model: bq_monitor
    explore: performance_latest
    type: looker_grid
    fields: [performance_latest.monitor, performance_latest.window_end_time, performance_latest.segment, performance_latest.basis,
      performance_latest.metric, performance_latest.value, performance_latest.lower, performance_latest.upper,
      performance_latest.reference_value, performance_latest.rule, performance_latest.explanation]
    filters:
      performance_latest.status: drift
    sorts: [performance_latest.window_end_time desc, performance_latest.metric]
    limit: 500
    listen:
      Monitor: performance_latest.monitor
      Date range: performance_latest.window_end_date
      Segment: performance_latest.segment
    row: 40
    col: 0
    width: 12
    height: 8
  - name: volume
    title: Rows by window, and those whose outcome is known
    model: bq_monitor
    explore: performance_latest
    type: looker_column
    fields: [performance_latest.window_end_time, performance_latest.max_n_rows, performance_latest.max_n_labelled]
    sorts: [performance_latest.window_end_time]
    limit: 500
    listen:
      Monitor: performance_latest.monitor
      Date range: performance_latest.window_end_date
      Segment: performance_latest.segment
    row: 40
    col: 12
    width: 12
    height: 8
  - name: quality
    title: Checks of the data that are broken
    model: bq_monitor
    explore: quality_latest
    type: looker_grid
    fields: [quality_latest.monitor, quality_latest.window_end_time, quality_latest.check_name, quality_latest.feature,
      quality_latest.value, quality_latest.reference_value, quality_latest.limit_value, quality_latest.explanation]
    filters:
      quality_latest.status: drift
    sorts: [quality_latest.window_end_time desc, quality_latest.check_name, quality_latest.feature]
    limit: 500
    listen:
      Monitor: quality_latest.monitor
      Date range: quality_latest.window_end_date
    row: 48
    col: 0
    width: 12
    height: 8
  - name: quality_history
    title: Checks of the data by window
    model: bq_monitor
    explore: quality_latest
    type: looker_column
    fields: [quality_latest.window_end_time, quality_latest.count_ok, quality_latest.count_drift, quality_latest.count_not_evaluated]
    sorts: [quality_latest.window_end_time]
    limit: 500
    stacking: normal
    listen:
      Monitor: quality_latest.monitor
      Date range: quality_latest.window_end_date
    row: 48
    col: 12
    width: 12
    height: 8
  - name: costs
    title: Cost by day and monitor
    model: bq_monitor
    explore: run_costs
    type: looker_column
    fields: [run_costs.started_at_date, run_costs.monitor, run_costs.total_cost]
    pivots: [run_costs.monitor]
    sorts: [run_costs.monitor, run_costs.started_at_date]
    limit: 500
    stacking: normal
    listen:
      Monitor: run_costs.monitor
      Date range: run_costs.started_at_date
    row: 56
    col: 0
    width: 12
    height: 8
  - name: runs
    title: Runs
    model: bq_monitor
    explore: run_costs
    type: looker_grid
    fields: [run_costs.monitor, run_costs.started_at_time, run_costs.is_backfill, run_costs.n_windows, run_costs.n_windows_left,
      run_costs.bytes_billed, run_costs.cost, run_costs.month_to_date_cost, run_costs.duration_seconds]
    sorts: [run_costs.started_at_time desc, run_costs.monitor]
    limit: 500
    listen:
      Monitor: run_costs.monitor
      Date range: run_costs.started_at_date
    row: 56
    col: 12
    width: 12
    height: 8

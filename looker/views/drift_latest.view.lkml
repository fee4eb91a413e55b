# Written by looker/generate.py from bq_monitor/warehouse/{schema,views}.py. Do not edit: change the schema, or the generator.

# The newest verdict of each window, segment, feature and baseline.

view: drift_latest {
  label: "Drift latest"
  sql_table_name: `@{gcp_project}.@{dataset}.drift_latest` ;;

  dimension: row_key {
    type: string
    primary_key: yes
    hidden: yes
    sql: TO_JSON_STRING([${TABLE}.monitor, ${TABLE}.model_version, CAST(${TABLE}.window_start AS STRING), CAST(${TABLE}.window_end AS STRING), ${TABLE}.segment, ${TABLE}.feature, ${TABLE}.baseline]) ;;
  }

  dimension: monitor {
    type: string
    description: "Name of the monitor, from its configuration."
    sql: ${TABLE}.monitor ;;

    link: {
      label: "Dashboard of {{ value }}"
      url: "/dashboards/bq_monitor::bq_monitor?Monitor={{ value | url_encode }}"
    }
  }

  dimension: model_version {
    type: string
    description: "Version of the model that the rows were logged by; '' when the log names none."
    sql: ${TABLE}.model_version ;;
  }

  dimension: reference_id {
    type: string
    description: "Identity of the reference: a hash of its frozen buckets and counts."
    sql: ${TABLE}.reference_id ;;
    hidden: yes
  }

  dimension: run_id {
    type: string
    description: "The run that wrote the row."
    sql: ${TABLE}.run_id ;;
    hidden: yes
  }

  dimension: segment {
    type: string
    description: "The part of the log that was counted; 'all' is every row."
    sql: ${TABLE}.segment ;;
  }

  dimension: feature {
    type: string
    description: "Name of the column or expression."
    sql: ${TABLE}.feature ;;
  }

  dimension: role {
    type: string
    description: "feature, prediction, score or label."
    sql: ${TABLE}.role ;;
  }

  dimension: kind {
    type: string
    description: "Kind of the feature."
    sql: ${TABLE}.kind ;;
  }

  dimension: baseline {
    type: string
    description: "What the window was compared with; 'training' is the reference."
    sql: ${TABLE}.baseline ;;
  }

  dimension: verdict_key {
    type: string
    description: "Identity of the verdict's inputs: configuration, reference, window, data versions."
    sql: ${TABLE}.verdict_key ;;
    hidden: yes
  }

  dimension: n_baseline {
    type: number
    description: "Rows of the baseline."
    sql: ${TABLE}.n_baseline ;;
    value_format_name: decimal_0
  }

  dimension: n_current {
    type: number
    description: "Rows of the window."
    sql: ${TABLE}.n_current ;;
    value_format_name: decimal_0
  }

  dimension: n_effective {
    type: number
    description: "What the window's rows are worth, as days differ; n_current where that is not known."
    sql: ${TABLE}.n_effective ;;
    value_format_name: decimal_0
  }

  dimension: day_correlation {
    type: number
    description: "Intra-class correlation of days that was reckoned with; NULL where it is not known."
    sql: ${TABLE}.day_correlation ;;
    value_format_name: decimal_3
  }

  dimension: status {
    type: string
    description: "ok, drift or not_evaluated."
    sql: ${TABLE}.status ;;
  }

  dimension: reason {
    type: string
    description: "Why it was not evaluated."
    sql: ${TABLE}.reason ;;
  }

  dimension: psi {
    type: number
    description: "Population stability index on the coarse buckets, nats."
    sql: ${TABLE}.psi ;;
    value_format_name: decimal_3
  }

  dimension: kl_divergence {
    type: number
    description: "KL(production || baseline), nats, coarse buckets."
    sql: ${TABLE}.kl_divergence ;;
    value_format_name: decimal_3
  }

  dimension: kl_divergence_reverse {
    type: number
    description: "KL(baseline || production), nats, coarse buckets."
    sql: ${TABLE}.kl_divergence_reverse ;;
    value_format_name: decimal_3
  }

  dimension: js_divergence {
    type: number
    description: "Jensen-Shannon divergence, base 2, 0..1, coarse buckets."
    sql: ${TABLE}.js_divergence ;;
    value_format_name: decimal_3
  }

  dimension: js_distance {
    type: number
    description: "Square root of js_divergence, 0..1."
    sql: ${TABLE}.js_distance ;;
    value_format_name: decimal_3
  }

  dimension: hellinger {
    type: number
    description: "Hellinger distance, 0..1, coarse buckets."
    sql: ${TABLE}.hellinger ;;
    value_format_name: decimal_3
  }

  dimension: total_variation {
    type: number
    description: "Half the sum of absolute share differences, 0..1, coarse buckets."
    sql: ${TABLE}.total_variation ;;
    value_format_name: decimal_3
  }

  dimension: l_infinity {
    type: number
    description: "Largest share difference of one coarse bucket, 0..1."
    sql: ${TABLE}.l_infinity ;;
    value_format_name: decimal_3
  }

  dimension: ks_statistic {
    type: number
    description: "Kolmogorov-Smirnov statistic at the fine edges, 0..1; NULL for unordered kinds."
    sql: ${TABLE}.ks_statistic ;;
    value_format_name: decimal_3
  }

  dimension: ks_bound {
    type: number
    description: "By how much the raw-sample KS statistic may exceed ks_statistic."
    sql: ${TABLE}.ks_bound ;;
    value_format_name: decimal_3
  }

  dimension: ks_p_value {
    type: number
    description: "Asymptotic p-value of ks_statistic."
    sql: ${TABLE}.ks_p_value ;;
    value_format_name: decimal_3
  }

  dimension: chi2_statistic {
    type: number
    description: "Pearson's chi-square of production against baseline, coarse buckets."
    sql: ${TABLE}.chi2_statistic ;;
    value_format_name: decimal_3
  }

  dimension: chi2_p_value {
    type: number
    description: "Its p-value."
    sql: ${TABLE}.chi2_p_value ;;
    value_format_name: decimal_3
  }

  dimension: wasserstein {
    type: number
    description: "First Wasserstein distance in the feature's unit, from the fine buckets."
    sql: ${TABLE}.wasserstein ;;
    value_format_name: decimal_3
  }

  dimension: wasserstein_bound {
    type: number
    description: "By how much the raw-sample distance may differ from wasserstein."
    sql: ${TABLE}.wasserstein_bound ;;
    value_format_name: decimal_3
  }

  dimension: mean_shift {
    type: number
    description: "Difference of means in baseline standard deviations."
    sql: ${TABLE}.mean_shift ;;
    value_format_name: decimal_3
  }

  dimension: std_shift {
    type: number
    description: "Natural log of the ratio of standard deviations."
    sql: ${TABLE}.std_shift ;;
    value_format_name: decimal_3
  }

  dimension: null_share_baseline {
    type: number
    description: "Share of NULL in the baseline, 0..1."
    sql: ${TABLE}.null_share_baseline ;;
    value_format_name: percent_1
  }

  dimension: null_share_current {
    type: number
    description: "Share of NULL in the window, 0..1."
    sql: ${TABLE}.null_share_current ;;
    value_format_name: percent_1
  }

  dimension: unseen_share {
    type: number
    description: "Share of categories never seen in training, 0..1; NULL where it cannot be told."
    sql: ${TABLE}.unseen_share ;;
    value_format_name: percent_1
  }

  dimension: metric {
    type: string
    description: "The deciding metric."
    sql: ${TABLE}.metric ;;
  }

  dimension: threshold {
    type: number
    description: "The true divergence that matters, in its unit; NULL for tests of any change."
    sql: ${TABLE}.threshold ;;
    value_format_name: decimal_3
  }

  dimension: noise_floor {
    type: number
    description: "What the deciding metric shows on average without any change."
    sql: ${TABLE}.noise_floor ;;
    value_format_name: decimal_3
  }

  dimension: lower {
    type: number
    description: "Lower confidence bound of the true value of the deciding metric."
    sql: ${TABLE}.lower ;;
    value_format_name: decimal_3
  }

  dimension: upper {
    type: number
    description: "Upper confidence bound of the true value of the deciding metric."
    sql: ${TABLE}.upper ;;
    value_format_name: decimal_3
  }

  dimension: drift_score {
    type: number
    description: "Noise-corrected JS distance, 0..1; comparable across sample sizes."
    sql: ${TABLE}.drift_score ;;
    value_format_name: decimal_3
  }

  dimension: p_value {
    type: number
    description: "Chance of such a divergence if the true one were at the threshold."
    sql: ${TABLE}.p_value ;;
    value_format_name: decimal_3
  }

  dimension: p_adjusted {
    type: number
    description: "The same, adjusted for all tests of the window (Holm)."
    sql: ${TABLE}.p_adjusted ;;
    value_format_name: decimal_3
  }

  dimension: alpha {
    type: number
    description: "drift is said when p_adjusted is below."
    sql: ${TABLE}.alpha ;;
    value_format_name: decimal_3
  }

  dimension: metric_version {
    type: number
    description: "Version of the formulas."
    sql: ${TABLE}.metric_version ;;
    value_format_name: decimal_0
    hidden: yes
  }

  dimension: explanation {
    type: string
    description: "What moved, in words; NULL when nothing did."
    sql: ${TABLE}.explanation ;;
  }

  dimension: carrier {
    type: string
    description: "What carries most of the shift: range, category, null, nan, infinite, other or unseen."
    sql: ${TABLE}.carrier ;;
  }

  dimension: trend_slope {
    type: number
    description: "Rise of drift_score a day over the last windows; NULL with too few."
    sql: ${TABLE}.trend_slope ;;
    value_format_name: decimal_3
  }

  dimension: trend_p_value {
    type: number
    description: "Chance of such a rise without a trend (Mann-Kendall, one-sided)."
    sql: ${TABLE}.trend_p_value ;;
    value_format_name: decimal_3
  }

  dimension: contributions {
    type: string
    description: "Each coarse bucket's shares and its part of psi."
    hidden: yes
    sql: ${TABLE}.contributions ;;
  }

  dimension_group: computed_at {
    type: time
    description: "When the row was computed; of rows with one key the newest counts."
    timeframes: [
      raw,
      time,
      hour,
      date,
      week,
      month,
      quarter,
      year
    ]
    convert_tz: no
    datatype: timestamp
    sql: ${TABLE}.computed_at ;;
  }

  dimension_group: window_start {
    type: time
    description: "First instant of the window."
    timeframes: [
      raw,
      time,
      hour,
      date,
      week,
      month,
      quarter,
      year
    ]
    convert_tz: no
    datatype: timestamp
    sql: ${TABLE}.window_start ;;
  }

  dimension_group: window_end {
    type: time
    description: "End of the window, exclusive."
    timeframes: [
      raw,
      time,
      hour,
      date,
      week,
      month,
      quarter,
      year
    ]
    convert_tz: no
    datatype: timestamp
    sql: ${TABLE}.window_end ;;
  }

  dimension_group: trend_crosses_at {
    type: time
    description: "When the trend passes, or passed, the threshold; NULL when it does not soon."
    timeframes: [
      raw,
      time,
      hour,
      date,
      week,
      month,
      quarter,
      year
    ]
    convert_tz: no
    datatype: timestamp
    sql: ${TABLE}.trend_crosses_at ;;
  }

  measure: count {
    type: count
    description: "Number of verdicts."
    drill_fields: [detail*]
  }

  measure: count_ok {
    type: count
    description: "Number of verdicts with status ok."
    filters: [
      status: "ok"
    ]
    drill_fields: [detail*]
  }

  measure: count_drift {
    type: count
    description: "Number of verdicts with status drift."
    filters: [
      status: "drift"
    ]
    drill_fields: [detail*]
  }

  measure: count_not_evaluated {
    type: count
    description: "Number of verdicts with status not_evaluated."
    filters: [
      status: "not_evaluated"
    ]
    drill_fields: [detail*]
  }

  measure: count_features {
    type: count_distinct
    description: "Number of different features."
    sql: ${feature} ;;
    drill_fields: [detail*]
  }

  measure: max_drift_score {
    type: max
    description: "Largest drift_score."
    sql: ${drift_score} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  measure: average_drift_score {
    type: average
    description: "Average drift_score."
    sql: ${drift_score} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  measure: average_null_share_current {
    type: average
    description: "Average null_share_current."
    sql: ${null_share_current} ;;
    value_format_name: percent_1
    drill_fields: [detail*]
  }

  set: detail {
    fields: [
      monitor,
      window_end_time,
      segment,
      feature,
      baseline,
      status,
      reason,
      metric,
      drift_score,
      explanation
    ]
  }
}

view: drift_latest__contributions {
  label: "Drift latest contributions"

  dimension: row_key {
    type: string
    primary_key: yes
    hidden: yes
    sql: TO_JSON_STRING([${drift_latest.row_key}, ${TABLE}.bucket]) ;;
  }

  dimension: bucket {
    type: string
    description: "Label, interval or special name of the coarse bucket."
    sql: ${TABLE}.bucket ;;
  }

  dimension: baseline_share {
    type: number
    description: "Share in the baseline, 0..1."
    sql: ${TABLE}.baseline_share ;;
    value_format_name: percent_1
  }

  dimension: current_share {
    type: number
    description: "Share in the window, 0..1."
    sql: ${TABLE}.current_share ;;
    value_format_name: percent_1
  }

  dimension: psi {
    type: number
    description: "Its part of psi, nats; the parts add up."
    sql: ${TABLE}.psi ;;
    value_format_name: decimal_3
  }

  measure: count {
    type: count
    description: "Number of buckets."
    drill_fields: [detail*]
  }

  measure: total_psi {
    type: sum
    description: "Sum of psi."
    sql: ${psi} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  measure: average_baseline_share {
    type: average
    description: "Average baseline_share."
    sql: ${baseline_share} ;;
    value_format_name: percent_1
    drill_fields: [detail*]
  }

  measure: average_current_share {
    type: average
    description: "Average current_share."
    sql: ${current_share} ;;
    value_format_name: percent_1
    drill_fields: [detail*]
  }

  set: detail {
    fields: [bucket, baseline_share, current_share, psi]
  }
}

# Written by looker/generate.py from bq_monitor/warehouse/{schema,views}.py. Do not edit: change the schema, or the generator.

# The newest judgement of each window's answers, by segment.

view: performance_latest {
  label: "Performance latest"
  sql_table_name: `@{gcp_project}.@{dataset}.performance_latest` ;;

  dimension: row_key {
    type: string
    primary_key: yes
    hidden: yes
    sql: TO_JSON_STRING([${TABLE}.monitor, ${TABLE}.model_version, CAST(${TABLE}.window_start AS STRING), CAST(${TABLE}.window_end AS STRING), ${TABLE}.segment, ${TABLE}.basis, ${TABLE}.metric]) ;;
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

  dimension: scan_definition_id {
    type: string
    description: "Identity of what was counted: the log's definition, the prediction, the labels."
    sql: ${TABLE}.scan_definition_id ;;
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

  dimension: basis {
    type: string
    description: "realised (from outcomes), estimated (without them) or observed (of the answers alone)."
    sql: ${TABLE}.basis ;;
  }

  dimension: metric {
    type: string
    description: "accuracy, roc_auc, log_loss, positive_rate, ...; concept:NAME and shift: what changed between x and y."
    sql: ${TABLE}.metric ;;
  }

  dimension: verdict_key {
    type: string
    description: "Identity of the verdict's inputs: configuration, reference, window, data versions."
    sql: ${TABLE}.verdict_key ;;
    hidden: yes
  }

  dimension: is_provisional {
    type: yesno
    description: "Whether outcomes of the window are still to come."
    sql: ${TABLE}.is_provisional ;;
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

  dimension: value {
    type: number
    description: "The measure; NULL where undefined."
    sql: ${TABLE}.value ;;
    value_format_name: decimal_3
  }

  dimension: lower {
    type: number
    description: "Lower confidence bound of the true value, one-sided at alpha."
    sql: ${TABLE}.lower ;;
    value_format_name: decimal_3
  }

  dimension: upper {
    type: number
    description: "Upper confidence bound of the true value, one-sided at alpha."
    sql: ${TABLE}.upper ;;
    value_format_name: decimal_3
  }

  dimension: bound {
    type: number
    description: "By how much the number from the raw rows may differ, as buckets approximate."
    sql: ${TABLE}.bound ;;
    value_format_name: decimal_3
  }

  dimension: reference_value {
    type: number
    description: "The same measure of the reference."
    sql: ${TABLE}.reference_value ;;
    value_format_name: decimal_3
  }

  dimension: n_rows {
    type: number
    description: "Rows of the window."
    sql: ${TABLE}.n_rows ;;
    value_format_name: decimal_0
  }

  dimension: n_labelled {
    type: number
    description: "Those whose outcome is known."
    sql: ${TABLE}.n_labelled ;;
    value_format_name: decimal_0
  }

  dimension: n {
    type: number
    description: "Rows that the measure is told from."
    sql: ${TABLE}.n ;;
    value_format_name: decimal_0
  }

  dimension: rule {
    type: string
    description: "The limit that is nearest to be broken, such as min 0.75; NULL without one."
    sql: ${TABLE}.rule ;;
  }

  dimension: p_value {
    type: number
    description: "Chance of such a value if the true one were at the limit."
    sql: ${TABLE}.p_value ;;
    value_format_name: decimal_3
  }

  dimension: p_adjusted {
    type: number
    description: "The same, adjusted for all limits of the window (Holm)."
    sql: ${TABLE}.p_adjusted ;;
    value_format_name: decimal_3
  }

  dimension: alpha {
    type: number
    description: "drift is said when p_adjusted is below."
    sql: ${TABLE}.alpha ;;
    value_format_name: decimal_3
  }

  dimension: explanation {
    type: string
    description: "What changed, in words."
    sql: ${TABLE}.explanation ;;
  }

  dimension: confusion {
    type: string
    description: "With accuracy: rows by outcome and prediction."
    hidden: yes
    sql: ${TABLE}.confusion ;;
  }

  dimension: bins {
    type: string
    description: "With ece: what came true by score; with accuracy: what was right by confidence; with concept: by bucket."
    hidden: yes
    sql: ${TABLE}.bins ;;
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

  measure: count {
    type: count
    description: "Number of measures."
    drill_fields: [detail*]
  }

  measure: count_ok {
    type: count
    description: "Number of measures with status ok."
    filters: [
      status: "ok"
    ]
    drill_fields: [detail*]
  }

  measure: count_drift {
    type: count
    description: "Number of measures with status drift."
    filters: [
      status: "drift"
    ]
    drill_fields: [detail*]
  }

  measure: count_not_evaluated {
    type: count
    description: "Number of measures with status not_evaluated."
    filters: [
      status: "not_evaluated"
    ]
    drill_fields: [detail*]
  }

  measure: average_value {
    type: average
    description: "Average value."
    sql: ${value} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  measure: average_lower {
    type: average
    description: "Average lower."
    sql: ${lower} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  measure: average_upper {
    type: average
    description: "Average upper."
    sql: ${upper} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  measure: average_reference_value {
    type: average
    description: "Average reference_value."
    sql: ${reference_value} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  measure: max_n_rows {
    type: max
    description: "Largest n_rows."
    sql: ${n_rows} ;;
    value_format_name: decimal_0
    drill_fields: [detail*]
  }

  measure: max_n_labelled {
    type: max
    description: "Largest n_labelled."
    sql: ${n_labelled} ;;
    value_format_name: decimal_0
    drill_fields: [detail*]
  }

  set: detail {
    fields: [
      monitor,
      window_end_time,
      segment,
      basis,
      metric,
      status,
      value,
      rule,
      explanation
    ]
  }
}

view: performance_latest__bins {
  label: "Performance latest bins"

  dimension: row_key {
    type: string
    primary_key: yes
    hidden: yes
    sql: TO_JSON_STRING([${performance_latest.row_key}, ${TABLE}.bin]) ;;
  }

  dimension: bin {
    type: string
    description: "The part of the scores, of the confidence or of the feature."
    sql: ${TABLE}.bin ;;
  }

  dimension: n {
    type: number
    description: "Rows in it whose outcome is known."
    sql: ${TABLE}.n ;;
    value_format_name: decimal_0
  }

  dimension: share {
    type: number
    description: "What came true, or was right, of them, 0..1."
    sql: ${TABLE}.share ;;
    value_format_name: percent_1
  }

  dimension: reference_share {
    type: number
    description: "The same of the reference, 0..1."
    sql: ${TABLE}.reference_share ;;
    value_format_name: percent_1
  }

  measure: count {
    type: count
    description: "Number of bins."
    drill_fields: [detail*]
  }

  measure: total_n {
    type: sum
    description: "Sum of n."
    sql: ${n} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  measure: average_share {
    type: average
    description: "Average share."
    sql: ${share} ;;
    value_format_name: percent_1
    drill_fields: [detail*]
  }

  measure: average_reference_share {
    type: average
    description: "Average reference_share."
    sql: ${reference_share} ;;
    value_format_name: percent_1
    drill_fields: [detail*]
  }

  set: detail {
    fields: [bin, n, share, reference_share]
  }
}

view: performance_latest__confusion {
  label: "Performance latest confusion"

  dimension: row_key {
    type: string
    primary_key: yes
    hidden: yes
    sql: TO_JSON_STRING([${performance_latest.row_key}, ${TABLE}.outcome, ${TABLE}.predicted]) ;;
  }

  dimension: outcome {
    type: string
    description: "What came true."
    sql: ${TABLE}.outcome ;;
  }

  dimension: predicted {
    type: string
    description: "What was predicted."
    sql: ${TABLE}.predicted ;;
  }

  dimension: n {
    type: number
    description: "Rows of both."
    sql: ${TABLE}.n ;;
    value_format_name: decimal_0
  }

  measure: count {
    type: count
    description: "Number of cells."
    drill_fields: [detail*]
  }

  measure: total_n {
    type: sum
    description: "Sum of n."
    sql: ${n} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  set: detail {
    fields: [outcome, predicted, n]
  }
}

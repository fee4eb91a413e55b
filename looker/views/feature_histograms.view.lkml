# Written by looker/generate.py from bq_monitor/warehouse/{schema,views}.py. Do not edit: change the schema, or the generator.

# Reference beside production, per granule and bucket.

view: feature_histograms {
  label: "Feature histograms"
  sql_table_name: `@{gcp_project}.@{dataset}.feature_histograms` ;;

  dimension: row_key {
    type: string
    primary_key: yes
    hidden: yes
    sql: TO_JSON_STRING([${TABLE}.monitor, ${TABLE}.reference_id, ${TABLE}.scan_definition_id, CAST(${TABLE}.granule AS STRING), ${TABLE}.segment, ${TABLE}.feature, CAST(${TABLE}.bucket AS STRING)]) ;;
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
    description: "Identity of what is counted: table, filter, expressions, time column, granule."
    sql: ${TABLE}.scan_definition_id ;;
    hidden: yes
  }

  dimension: feature {
    type: string
    description: "Name of the column or expression."
    sql: ${TABLE}.feature ;;
  }

  dimension: segment {
    type: string
    description: "The part of the log that was counted; 'all' is every row."
    sql: ${TABLE}.segment ;;
  }

  dimension: bucket {
    type: number
    description: "Code of the bucket."
    sql: ${TABLE}.bucket ;;
  }

  dimension: bucket_name {
    type: string
    description: "Its label, its edges, or its special name."
    sql: ${TABLE}.bucket_name ;;
  }

  dimension: lower {
    type: number
    description: "Lower edge, inclusive."
    sql: ${TABLE}.lower ;;
    value_format_name: decimal_3
  }

  dimension: upper {
    type: number
    description: "Upper edge, exclusive."
    sql: ${TABLE}.upper ;;
    value_format_name: decimal_3
  }

  dimension: reference_n {
    type: number
    description: "Rows of the reference in the bucket."
    sql: ${TABLE}.reference_n ;;
    value_format_name: decimal_0
  }

  dimension: reference_share {
    type: number
    description: "Their share, 0..1."
    sql: ${TABLE}.reference_share ;;
    value_format_name: percent_1
  }

  dimension: production_n {
    type: number
    description: "Rows of the granule in the bucket."
    sql: ${TABLE}.production_n ;;
    value_format_name: decimal_0
  }

  dimension: production_share {
    type: number
    description: "Their share, 0..1."
    sql: ${TABLE}.production_share ;;
    value_format_name: percent_1
  }

  dimension_group: granule {
    type: time
    description: "Start of the hour or day that was counted."
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
    sql: ${TABLE}.granule ;;
  }

  measure: count {
    type: count
    description: "Number of buckets of granules."
    drill_fields: [detail*]
  }

  measure: total_production_n {
    type: sum
    description: "Sum of production_n."
    sql: ${production_n} ;;
    value_format_name: decimal_3
    drill_fields: [detail*]
  }

  measure: average_reference_share {
    type: average
    description: "Average reference_share."
    sql: ${reference_share} ;;
    value_format_name: percent_1
    drill_fields: [detail*]
  }

  measure: average_production_share {
    type: average
    description: "Average production_share."
    sql: ${production_share} ;;
    value_format_name: percent_1
    drill_fields: [detail*]
  }

  set: detail {
    fields: [
      granule_time,
      feature,
      segment,
      bucket_name,
      reference_share,
      production_share
    ]
  }
}

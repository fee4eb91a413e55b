-- A staging table for the rows of one commit: the columns of one of our tables. It goes by itself after a day.
CREATE TABLE {{ stage }} LIKE {{ like }}
OPTIONS (expiration_timestamp = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 1 DAY))

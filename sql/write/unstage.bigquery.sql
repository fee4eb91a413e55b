-- Take a staging table away once its rows are committed.
DROP TABLE IF EXISTS {{ stage }}

-- Real loans as applications: what is known when a loan is asked for, and (last column) how it ended.
-- Left out because it is known only later: term, disbursement, charge-off date and amount, balance. Left out because it names
-- somebody: loan number as a feature, city, zip, bank. DuckDB SQL. Parameters: start, end TIMESTAMP. Grain: one row per loan.
-- loan_amount is gr_appv; guarantee_share is the part of it that the agency guarantees; sector is the first two digits of the
-- industry code naics, '00' where there is none. The other columns keep their names.
SELECT
  CAST(loan_nr_chk_dgt AS VARCHAR) AS application_id,
  approval_date AS predicted_at,
  gr_appv AS loan_amount,
  sba_appv / gr_appv AS guarantee_share,
  no_emp,
  create_job,
  retained_job,
  low_doc,
  rev_line_cr,
  new_exist,
  urban_rural,
  CASE WHEN naics = 0 THEN '00' ELSE SUBSTRING(CAST(naics AS VARCHAR), 1, 2) END AS sector,
  state,
  mis_status = 'PIF' AS repaid
FROM loans
WHERE approval_date >= $start
  AND approval_date < $end
ORDER BY predicted_at, application_id

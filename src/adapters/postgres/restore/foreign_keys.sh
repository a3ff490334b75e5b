# --- foreign keys: name, whether it was ever validated, and a query that counts the rows that break it

# The same check that the server makes when a constraint is created (ri_triggers.c, RI_Initial_Check), but without the indexes: a
# broken index would show its own content instead of the table's.
foreign_keys_sql() {
  cat <<'END-OF-SQL'
SELECT concat_ws(chr(9), c.conrelid::regclass || '.' || c.conname, c.convalidated,
      format('SELECT count(*) FROM %s%s fk LEFT JOIN %s%s pk ON %s WHERE pk.%I IS NULL AND (%s)', CASE f.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END,
        c.conrelid::regclass, CASE p.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, c.confrelid::regclass, k.same, k.first, k.filled))
    FROM pg_constraint c JOIN pg_class f ON f.oid = c.conrelid JOIN pg_class p ON p.oid = c.confrelid,
      LATERAL (SELECT string_agg(format('pk.%I OPERATOR(%I.%s) fk.%I', pa.attname, n.nspname, o.oprname, fa.attname) ||
            CASE WHEN pa.attcollation <> fa.attcollation AND pa.attcollation <> 0 THEN (SELECT format(' COLLATE %I.%I', cn.nspname, l.collname)
              FROM pg_collation l JOIN pg_namespace cn ON cn.oid = l.collnamespace WHERE l.oid = pa.attcollation) ELSE '' END, ' AND ' ORDER BY u.i) AS same,
          string_agg(format('fk.%I IS NOT NULL', fa.attname), CASE c.confmatchtype WHEN 'f' THEN ' OR ' ELSE ' AND ' END) AS filled,
          (array_agg(pa.attname ORDER BY u.i))[1] AS first
        FROM unnest(c.conkey, c.confkey, c.conpfeqop) WITH ORDINALITY u(fk, pk, op, i)
          JOIN pg_attribute fa ON fa.attrelid = c.conrelid AND fa.attnum = u.fk JOIN pg_attribute pa ON pa.attrelid = c.confrelid AND pa.attnum = u.pk
          JOIN pg_operator o ON o.oid = u.op JOIN pg_namespace n ON n.oid = o.oprnamespace) k
    WHERE c.contype = 'f' AND c.conparentid = 0 ORDER BY 1
END-OF-SQL
}


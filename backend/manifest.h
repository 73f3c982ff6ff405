/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dbt's manifest.json -> the catalog: what batchfs knows of the project.
 * Immutable once loaded, so any thread may read it; every string in it belongs
 * to it and lives until catalog_free().
 */
#ifndef BATCHFS_MANIFEST_H
#define BATCHFS_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/base/error.h"
#include "backend/base/log.h"
#include "backend/calendar.h"

enum tristate { TRI_UNSET = -1, TRI_FALSE = 0, TRI_TRUE = 1 };

/*
 * The name of a table taken apart, as in "db"."schema"."table". database is NULL where the manifest gives
 * none.
 */
struct relation {
	char *database, *schema, *identifier;
	char *rendered; /* relation_name, exactly as it stands in compiled code */
};

/*
 * What a model reads: a ref or a source among its depends_on nodes. `filtered`:
 * at least one mention of it in the compiled code gets the batch's window. An
 * ephemeral is an input whose `rendered` and `identifier` are __dbt__cte__NAME. What
 * is also read as ref().include() is an input once more, with that as `rendered`.
 */
struct input {
	const char *unique_id;
	struct relation relation;
	const char *event_time; /* a column or an expression, quoted where dbt quotes it; NULL: the input has
				   none */
	bool filtered;
	bool whole; /* or may be: it is read without the window somewhere, too */
	bool ephemeral;
	int place; /* where the microbatch model that makes the input stands in catalog.models; -1: none makes
		      it */
	/*
	 * For each mention of the relation in the compiled code outside of the
	 * __dbt__cte__ definitions, in order, strings and comments included: 'f' where
	 * the window belongs, '-' where it does not (.render(), a literal name).
	 * NULL: every mention is filtered if event_time is set.
	 */
	const char *mentions;
};

/*
 * A window that order must respect: this model's batch reads the rows of the model at
 * `place` in the catalog, directly or through views and ephemerals. `windowed`: every way to it goes
 * through a filtered input, so only the same window is read; else all of it.
 */
struct upstream {
	int place;
	bool windowed;
};

/*
 * What building a model takes besides its SQL and a window. Facts of the project: whether an engine can do it
 * is for verdict.h to say.
 */
enum need_kind {
	NEED_COMPILED_SQL,  /* its SQL, which the manifest does not hold compiled. text: its name for `dbt
			       compile --select` */
	NEED_CLEAR_WINDOWS, /* somebody who knows which of the places that read the relation `text` get the
			       window; because of `words` in the file `where`, the SQL does not tell */
	NEED_LANGUAGE,	    /* text: the language it is written in, which is not SQL */
	NEED_HOOK,	    /* where: pre-hook or post-hook; text: its SQL */
	NEED_HOOK_JINJA,    /* the same, and the SQL has to be rendered when it runs */
	NEED_SCHEMA_CHANGE, /* text: what on_schema_change says */
	NEED_CONTRACT,	    /* its contract is enforced */
	NEED_GRANTS, /* of these four, where: the key of the config; text: what it holds, cut where it is long
		      */
	NEED_SQL_HEADER,
	NEED_PREDICATES,    /* only a part of the window is to be replaced */
	NEED_COLUMN_CHOICE, /* only some columns of a row are to be replaced */
	/* Of these four, `words` stand in the file `where`, of the model or of a macro that it calls. */
	NEED_BATCH_VALUE,    /* they ask for model.batch */
	NEED_IS_INCREMENTAL, /* they ask whether the run is incremental */
	NEED_WAREHOUSE_LOOK, /* they look into the warehouse while the SQL is rendered */
	NEED_RUN_CONTEXT,    /* they have another value in each run */
	NEED_OWN_STRATEGY,   /* the macro `text` in the file `where` takes the place of one with which dbt
				builds microbatch models */
	NEED_KINDS
};

/* One thing that a model needs. Strings are "" where a kind has no use for them. */
struct need {
	const struct need *next; /* the next one, in the order in which they were found */
	enum need_kind kind;
	const char *where, *text, *words;
};

/*
 * An index as dbt makes it: columns and type go into its CREATE INDEX as they are written, without quotes.
 * Each of the columns is a name or an expression, perhaps with `desc` behind it.
 */
struct index_config {
	const char **columns; /* NULL-terminated */
	bool unique;
	const char *type; /* NULL: the server's default */
};

/* What dbt does about columns that the query has and the target has not, or the other way round. */
enum schema_change {
	SCHEMA_IGNORE, /* the target's columns are filled; new ones of the query are left out */
	SCHEMA_APPEND, /* adds the new ones to the target */
	SCHEMA_SYNC,   /* the same, drops those that are gone, and changes types */
	SCHEMA_FAIL,   /* an error */
};

/*
 * SQL that runs once a run: before the first batch, or after the last one. One that renders to nothing is
 * left out.
 */
struct hook {
	bool post;
	bool transaction; /* inside of that batch's transaction; false: outside, before it begins or after its
			     commit */
	const char *text; /* as the project writes it */
	const char *sql;  /* with the target's name for {{ this }}; NULL: only dbt can render it */
	const char **statements; /* NULL-terminated: sql cut at its semicolons. NULL where sql is NULL */
};

/* A column that the model's YAML describes. */
struct column_config {
	const char *name;
	bool quote;		  /* dbt writes the name in quotes */
	const char *type;	  /* as the YAML has it; NULL: it names none */
	const char **constraints; /* NULL-terminated, each as dbt writes it behind the type: "not null" */
	const char *description;  /* "": none */
};

/* Who may do something with the target. dbt takes away what a role holds beyond the config. */
struct grant {
	const char *privilege; /* "select" */
	const char **roles;    /* NULL-terminated; empty: nobody is to hold it */
};

struct catalog;

struct model {
	struct catalog *catalog; /* that it is of; NULL: of none */
	const char *dir;	 /* its directory's name: unique in the catalog, a valid file name */
	const char *name, *package, *unique_id;
	const char *version; /* NULL: not versioned */
	struct relation relation;
	const char *event_time; /* as in struct input; NULL only where `wrong` says so */
	enum batch_size batch_size;
	const char *batch_size_text; /* as it is configured, also where we do not know it; NULL: the config
					has none */
	int64_t begin; /* microseconds, truncated to batch_size; INT64_MAX: the model has no batches, and
			  `wrong` says why */
	int32_t lookback;
	const char *strategy;
	const char **unique_key; /* NULL-terminated; empty where the config has none */
	enum tristate concurrent_batches, full_refresh;
	const char **tags, **fqn;  /* NULL-terminated */
	const char *meta_json;	   /* a JSON object without blanks */
	const char *original_path; /* original_file_path, which messages name */
	char made_of[17]; /* a hash of what the SQL was compiled from: the model's file and config, the macros
			     that it calls, the relations and event_times of what it reads */
	int64_t compiled_at; /* us, the system's clock: when the manifest that held the SQL was written; 0: it
				has none */
	bool remembered;     /* another manifest held the SQL; this one comes without */
	const char *compiled; /* the SQL without any window; NULL only where the model has a NEED_COMPILED_SQL
				 or a NEED_LANGUAGE */
	const char *checksum; /* as the manifest has it; "": it has none */
	char code[17];	      /* a hash of all that decides a batch's rows: compiled, sql_header, relation,
				 event_time,        batch_size, inputs */
	const struct index_config *indexes;
	size_t n_indexes;
	bool unlogged;
	enum schema_change on_schema_change;
	const struct hook
		*hooks; /* in the order in which dbt runs them; the folders' come before the model's */
	size_t n_hooks;
	bool contract; /* it is enforced: dbt makes the table of `columns` and `constraints`, and fills it by
			  the columns' names */
	const struct column_config *columns; /* in the YAML's order; none where neither the contract nor
						column_docs asks for them */
	size_t n_columns;
	const char **constraints; /* of the table, as dbt writes them behind its columns; NULL-terminated */
	const struct grant *grants;
	size_t n_grants;
	const char *comment;	/* what persist_docs writes to the table; NULL: nothing */
	bool column_docs;	/* persist_docs writes the columns' descriptions to them */
	const char *sql_header; /* SQL that dbt sends before the statement that runs the query; NULL: none */
	bool reads_itself;
	bool run_hooks;	      /* the project has on-run-start or on-run-end hooks, of which dbt makes nodes */
	bool outside_dropped; /* meta.batchfs.outside: drop */
	bool atomic_refresh;  /* meta.batchfs.refresh: atomic */
	bool partitions_made; /* meta.batchfs.partitions: make */
	const char *expect;   /* meta.batchfs.expect: a SELECT of one row a batch, its start and how many rows
				 it is to hold; NULL: none */
	const struct input *inputs;
	size_t n_inputs;
	const struct upstream *upstreams;
	size_t n_upstreams;
	int node;		  /* where the model stands in catalog.nodes */
	const struct need *needs; /* a list, in the order in which the needs were found; NULL: its SQL and a
				     window are enough */
	const char *wrong; /* NULL: nothing; else a sentence for each thing in the manifest that is missing or
			      cannot be understood, and that nobody can build the model without */
};

/*
 * Whether a row that its query yields outside of its batch's window would be lost: everything that the model
 * reads is filtered to the window (so no other batch yields that row), and its config does not say that such
 * rows are to be left out. What reads no relation at all makes its rows itself, in every batch the same ones.
 */
bool model_loses_outside(const struct model *m);

/* How the version of a model compares with the latest_version that its YAML names. */
enum version_age { VERSION_NONE, VERSION_LATEST, VERSION_OLD, VERSION_PRERELEASE, VERSION_UNCLEAR };

/*
 * Everything enabled of dbt's graph, for selection: models, seeds, snapshots,
 * sources, and what only hangs on to them (tests, analyses, exposures, metrics
 * and so on), which `@x` and `+x` walk too.
 */
struct node {
	const char *unique_id, *name, *package, *resource_type;
	const char *version;	  /* NULL: none */
	const char *materialized; /* NULL: none */
	const char **fqn, **tags; /* NULL-terminated */
	const char *path;	  /* original_file_path */
	const char *patch_path;	  /* the YAML file that describes it; NULL: none */
	const char *source_name;  /* of a source; NULL: the node is none */
	const char *access;	  /* of a model; NULL: the node is none */
	const char *test;	  /* of a generic test, its own name (`unique`); NULL: the node is none */
	/*
	 * What `config.` can select: a line break, then "KEY.PATH=text" for each string
	 * (of a list: for each of its strings), "KEY.PATH!true" and "!false", each with a
	 * line break behind it. Left out is what no selection can say: null, numbers,
	 * begin, a text with a blank or a comma in it (but of group), a key that is no word.
	 */
	const char *config;
	enum version_age age;
	int place;	    /* where the node stands in catalog.models; -1: it is no microbatch model */
	const int *parents; /* places in catalog.nodes, ascending */
	size_t n_parents;
};

/* What tells one state of a file from another. */
struct file_stamp {
	uint64_t dev, ino;
	int64_t size, modified_ns, changed_ns;
	uint32_t mode;
	int err; /* 0: the file is there; else why not, and all others are 0 */
};

struct catalog {
	unsigned references;	 /* atomic: catalog_hold() */
	const char *path;	 /* the manifest's file */
	struct file_stamp stamp; /* of that, before it was read */
	const char *project, *adapter_type, *dbt_version, *schema_version;
	const struct model *models; /* sorted by dir */
	size_t n_models;
	const struct node *nodes;
	size_t n_nodes;
	int64_t loaded_at; /* when it was read, by the system clock, in microseconds */
};

/*
 * Reads `path`: manifest.json or the directory that holds it. On failure -errno,
 * and *err names the file, the key and the value: -ENOENT (no such file, or a
 * directory without a manifest.json), -EACCES, -EINVAL (not JSON, no manifest,
 * a wrong type where the whole cannot be understood), -ENOMEM. One model that is
 * wrong is no failure: it is in the catalog, `wrong` says why; one whose name
 * cannot be a file's is left out and named in the log. A wrong value of any other
 * node is logged, and refuses the models that read it.
 */
int manifest_load(const char *path, const struct log *log, struct catalog **out, struct error *err);

/*
 * The same with what is known of SQL: `dbt run`, `ls`, `test` and `parse` write a manifest without the
 * models' SQL, and that takes nothing away where what it was compiled from is the same. recall() gives the
 * SQL of the model that was made of that, valid during the call, and when it was compiled; NULL: it is not
 * known.
 */
struct sql_memory {
	void *ctx;
	const char *(*recall)(void *ctx, const char *unique_id, const char *made_of, int64_t *compiled_at);
};
int manifest_load_again(const char *path, const struct log *log, const struct sql_memory *memory,
			struct catalog **out, struct error *err);

/* Of what is at `path` now. */
struct file_stamp manifest_stamp(const char *path);
bool stamp_equal(const struct file_stamp *a, const struct file_stamp *b);

/*
 * A catalog begins with one reference; with the last one it is freed. Any thread. A model keeps its catalog
 * by model_hold() and model_drop(); one that is of no catalog is its maker's.
 */
void catalog_hold(struct catalog *c);
void catalog_free(struct catalog *c); /* drops one reference; NULL is fine */
const struct model *model_hold(const struct model *m);
void model_drop(const struct model *m); /* NULL is fine */

/* The place in catalog.models of the model whose directory is `dir`, or -1. */
int catalog_find(const struct catalog *c, const char *dir);

#endif

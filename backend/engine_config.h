/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_ENGINE_CONFIG_H
#define BATCHFS_ENGINE_CONFIG_H

#include <stdbool.h>

struct clock;
struct guest_builder;
struct log;

/* Read by both ops tables; outlives them. Immutable. */
struct engine_config {
	const struct log *log;
	const struct clock *clock;
	const char *service; /* postgres: libpq service name; NULL: PG* variables */
	const char *role;    /* postgres: SET ROLE; NULL: as connected */
	const char
		*database; /* sqlite: the file. dbt: of the states; NULL: one in the user's state directory */
	/* dbt: the project's directory, that of its profiles (NULL: as dbt finds it), the target in there
	 * (NULL: the profile's), the command. */
	const char *project, *profiles, *target, *dbt;
	const char *adopt; /* dbt: a run_results.json in the place of the first look; NULL: none */
	const struct guest_builder
		*guest; /* guest.h: who builds what the engine itself cannot; NULL: nobody */
	/* The tables are those of another warehouse, and the store knows no more of them than it is told: a
	 * table of the same name in its own database is none of theirs. The guest builds and looks. */
	bool elsewhere;
	int timeout_s;	/* how long a connect or a request may take */
	bool read_only; /* -o ro: writes nothing at all to the warehouse */
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* batchfs-fault: batchfs with its engines behind the fault layer, for tests. */
#include "mountopts/program.h"
#include "tests/fault/fault.h"

int main(int argc, char **argv)
{
	struct fault_layer f;
	fault_layer_init(&f);
	const struct engine postgres = fault_wrap(&f, &engine_postgres),
			    sqlite = fault_wrap(&f, &engine_sqlite), dbt = fault_wrap(&f, &engine_dbt);
	const struct engine *const engines[] = {&postgres, &sqlite, &dbt, NULL};
	int code = batchfs_main(argc, argv, engines);
	fault_layer_fini(&f);
	return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* batchfs-fault: batchfs with its engines behind the fault layer, for tests. */
#include "mountopts/program.h"
#include "tests/fault/fault.h"

int main(int argc, char **argv)
{
	struct engine postgres, sqlite;
	if (fault_wrap(&engine_postgres, &postgres) < 0 || fault_wrap(&engine_sqlite, &sqlite) < 0)
		return 1;
	const struct engine *const engines[] = {&postgres, &sqlite, NULL};
	return batchfs_main(argc, argv, engines);
}

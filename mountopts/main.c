/* SPDX-License-Identifier: Apache-2.0 */
#include "mountopts/program.h"

int main(int argc, char **argv)
{
	static const struct engine *const engines[] = {&engine_postgres, &engine_sqlite, &engine_dbt,
						       &engine_dbt_postgres, NULL};
	return batchfs_main(argc, argv, engines);
}

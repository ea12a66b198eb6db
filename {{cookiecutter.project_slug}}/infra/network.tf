# Jobs and endpoints run in the subnets and security groups of `network` in mlops.yaml, which exist already. Where those
# have no way out, AWS's services come in by endpoints of the network.
locals {
  network   = try(local.settings.network, null)
  interface = ["sagemaker.api", "sagemaker.runtime", "sts", "logs", "monitoring", "kms", "ecr.api", "ecr.dkr"]
}

resource "aws_vpc_endpoint" "interface" {
  for_each = toset(var.vpc_endpoints == null ? [] : local.interface)

  vpc_id              = var.vpc_endpoints.vpc_id
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = local.network.subnets
  security_group_ids  = local.network.security_groups
}

resource "aws_vpc_endpoint" "s3" {
  count = var.vpc_endpoints == null ? 0 : 1

  vpc_id            = var.vpc_endpoints.vpc_id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.vpc_endpoints.route_tables
}

# What SageMaker needs to put a job or an endpoint into a network (SageMaker developer guide, "CreateTrainingJob API:
# execution role permissions"); it makes these calls itself, under the execution role.
locals {
  enter_network = [
    for actions in local.network == null ? [] : [[
      "ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface",
      "ec2:DeleteNetworkInterfacePermission", "ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcs",
      "ec2:DescribeDhcpOptions", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups",
    ]] :
    { Effect = "Allow", Action = actions, Resource = "*" }
  ]
}

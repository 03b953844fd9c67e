# A network of the executors' own. Nothing comes in from outside, and out go the listed ports only, by a NAT gateway. There is no SSH:
# the Session Manager needs no way in.

locals {
  # Pulls, one port for each registry, and metrics: docs/registry-mirror.md.
  mirror_ports = { pulls = [5000, 5099], metrics = [9999, 9999] }
  zones        = { for index, zone in var.availability_zones : zone => index }
  groups       = { executors = aws_security_group.executors.id, mirror = aws_security_group.mirror.id }
  egress = {
    for rule in setproduct(keys(local.groups), var.egress_ports, var.egress_cidrs) :
    join(" ", rule) => { group = rule[0], port = rule[1], cidr = rule[2] }
  }
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(var.tags, { Name = var.name_prefix })
}

# Without rules: whoever forgets to name a group gets one that lets nothing through.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name_prefix}-unused" })
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = var.name_prefix })
}

# Machines are in the private ones. The last is the NAT gateway's.
resource "aws_subnet" "private" {
  for_each = local.zones

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = cidrsubnet(var.cidr, 4, each.value)
  map_public_ip_on_launch = false
  tags                    = merge(var.tags, { Name = "${var.name_prefix}-private-${each.key}" })
}

resource "aws_subnet" "public" {
  vpc_id                  = aws_vpc.this.id
  availability_zone       = var.availability_zones[0]
  cidr_block              = cidrsubnet(var.cidr, 4, 15)
  map_public_ip_on_launch = false
  tags                    = merge(var.tags, { Name = "${var.name_prefix}-public" })
}

resource "aws_eip" "nat" {
  domain = "vpc"
  tags   = merge(var.tags, { Name = "${var.name_prefix}-nat" })
}

resource "aws_nat_gateway" "this" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public.id
  tags          = merge(var.tags, { Name = var.name_prefix })

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name_prefix}-public" })
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.public.id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name_prefix}-private" })
}

resource "aws_route" "private" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this.id
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private.id
}

resource "aws_security_group" "executors" {
  name        = "${var.name_prefix}-executors"
  description = "Machines that run executors."
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = "${var.name_prefix}-executors" })
}

resource "aws_security_group" "mirror" {
  name        = "${var.name_prefix}-mirror"
  description = "The registry mirror."
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = "${var.name_prefix}-mirror" })
}

resource "aws_vpc_security_group_egress_rule" "out" {
  for_each = local.egress

  security_group_id = local.groups[each.value.group]
  description       = "The frontend, registries, and what jobs fetch."
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = each.value.cidr
}

resource "aws_vpc_security_group_egress_rule" "mirror" {
  for_each = local.mirror_ports

  security_group_id            = aws_security_group.executors.id
  description                  = "The way to the registry mirror: ${each.key}."
  ip_protocol                  = "tcp"
  from_port                    = each.value[0]
  to_port                      = each.value[1]
  referenced_security_group_id = aws_security_group.mirror.id
}

resource "aws_vpc_security_group_ingress_rule" "mirror" {
  for_each = local.mirror_ports

  security_group_id            = aws_security_group.mirror.id
  description                  = "From executors: ${each.key}."
  ip_protocol                  = "tcp"
  from_port                    = each.value[0]
  to_port                      = each.value[1]
  referenced_security_group_id = aws_security_group.executors.id
}

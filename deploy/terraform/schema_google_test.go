package terraform_test

// google is of hashicorp/google, version 7.
var google = map[string]shape{
	"data google_compute_image": {args: "project name family filter most_recent", gives: "self_link disk_size_gb"},

	"resource google_compute_network": {args: "name! project description auto_create_subnetworks routing_mode mtu", gives: "self_link"},
	"resource google_compute_subnetwork": {
		args: "name! network! ip_cidr_range project region description private_ip_google_access purpose stack_type", gives: "self_link gateway_address",
	},
	"resource google_compute_router": {args: "name! network! project region description", gives: "self_link"},
	"resource google_compute_router_nat": {
		args: "name! router! source_subnetwork_ip_ranges_to_nat! project region nat_ip_allocate_option nat_ips min_ports_per_vm",
		blocks: map[string]shape{
			"subnetwork": {args: "name! source_ip_ranges_to_nat! secondary_ip_range_names"},
			"log_config": {args: "enable! filter!"},
		},
	},
	"resource google_compute_firewall": {
		args: "name! network! project description direction priority disabled source_ranges destination_ranges source_tags target_tags source_service_accounts target_service_accounts",
		blocks: map[string]shape{
			"allow":      {args: "protocol! ports"},
			"deny":       {args: "protocol! ports"},
			"log_config": {args: "metadata!"},
		},
		gives: "self_link",
	},
	"resource google_compute_address": {args: "name! project region description address address_type subnetwork purpose labels", gives: "self_link"},
	"resource google_compute_disk": {
		args:   "name! project zone type size image labels description",
		blocks: map[string]shape{"disk_encryption_key": {args: "kms_key_self_link kms_key_service_account"}},
		gives:  "self_link",
	},
	"resource google_compute_instance": {
		args: "name! machine_type! project zone labels tags metadata metadata_startup_script description allow_stopping_for_update deletion_protection",
		blocks: map[string]shape{
			"boot_disk!": {
				args:   "auto_delete device_name kms_key_self_link source mode",
				blocks: map[string]shape{"initialize_params": {args: "image size type labels"}},
			},
			"attached_disk": {args: "source! device_name kms_key_self_link mode"},
			"network_interface!": {
				args:   "network subnetwork network_ip nic_type",
				blocks: map[string]shape{"access_config": {args: "nat_ip network_tier"}},
			},
			"service_account":          {args: "scopes! email"},
			"shielded_instance_config": {args: "enable_secure_boot enable_vtpm enable_integrity_monitoring"},
			"scheduling":               schedulingOfGoogle,
		},
		gives: "self_link instance_id",
	},
	"resource google_compute_instance_template": {
		args: "machine_type! name name_prefix project region description instance_description labels tags metadata metadata_startup_script min_cpu_platform",
		blocks: map[string]shape{
			"disk!": {
				args:   "boot auto_delete device_name source source_image disk_size_gb disk_type disk_name labels mode type",
				blocks: map[string]shape{"disk_encryption_key": {args: "kms_key_self_link kms_key_service_account"}},
			},
			"network_interface": {
				args:   "network subnetwork network_ip nic_type",
				blocks: map[string]shape{"access_config": {args: "nat_ip network_tier"}},
			},
			"service_account":           {args: "scopes! email"},
			"scheduling":                schedulingOfGoogle,
			"shielded_instance_config":  {args: "enable_secure_boot enable_vtpm enable_integrity_monitoring"},
			"advanced_machine_features": {args: "enable_nested_virtualization threads_per_core visible_core_count"},
		},
		gives: "self_link self_link_unique",
	},
	"resource google_compute_region_instance_group_manager": {
		args: "name! base_instance_name! project region description target_size distribution_policy_zones distribution_policy_target_shape wait_for_instances",
		blocks: map[string]shape{
			"version!": {args: "instance_template! name"},
			"update_policy": {
				args: "type! minimal_action! most_disruptive_allowed_action instance_redistribution_type max_surge_fixed max_unavailable_fixed replacement_method",
			},
			"instance_lifecycle_policy": {args: "default_action_on_failure force_update_on_repair"},
			"auto_healing_policies":     {args: "health_check! initial_delay_sec!"},
		},
		gives: "instance_group self_link",
	},
	"resource google_compute_region_autoscaler": {
		args: "name! target! project region description",
		blocks: map[string]shape{
			"autoscaling_policy!": {
				args: "min_replicas! max_replicas! cooldown_period mode",
				blocks: map[string]shape{
					"metric": {args: "name! filter single_instance_assignment target type"},
					"scale_in_control": {
						args:   "time_window_sec",
						blocks: map[string]shape{"max_scaled_in_replicas": {args: "fixed percent"}},
					},
				},
			},
		},
		gives: "self_link",
	},

	"resource google_service_account":                  {args: "account_id! project display_name description disabled", gives: "email member name unique_id"},
	"resource google_secret_manager_secret_iam_member": {args: "secret_id! role! member! project"},
	"resource google_project_iam_member":               {args: "project! role! member!"},
	"resource google_project_iam_custom_role":          {args: "role_id! title! permissions! project description stage", gives: "name"},
}

var schedulingOfGoogle = shape{args: "automatic_restart on_host_maintenance preemptible provisioning_model instance_termination_action"}
